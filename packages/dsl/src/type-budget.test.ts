// What a long chain costs the compiler. The count of instantiations repeats exactly, so it is a budget and not a timing:
// at most a hundred an operator, whatever the operators before it were.
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const packages = fileURLToPath(new URL('../../', import.meta.url));
const OPERATORS = 100;
const INSTANTIATIONS_PER_OPERATOR_MAX = 100;

const declarations = `
import { serde } from '@millrace/core';
import { topic, topology, windows } from './index.ts';
interface Order { readonly id: string; readonly cents: number; readonly note: string | null }
const orders = topic('orders', { key: serde.string(), value: serde.json<Order>() });
const names = topic('names', { key: serde.string(), value: serde.string() });
const out = topic('out', { key: serde.string(), value: serde.json<Order>() });
`;

/** Ten kinds of operators that lead back to the type they began with. */
const tenOperators = `
    .filter((order) => order.cents > 0)
    .mapValues((order) => ({ ...order, cents: order.cents + 1 }))
    .selectKey((order) => order.id)
    .groupByKey()
    .reduce((a, b) => (a.cents > b.cents ? a : b))
    .toStream()
    .join(table, (order, name) => ({ ...order, note: name }))
    .peek((order) => console.log(order.cents))
    .flatMapValues((order) => [order])
    .map((order, key) => ({ key, value: order }))`;

function chain(operators: number): string {
  return `${declarations}
export default topology('long', (t) => {
  const table = t.table(names);
  t.stream(orders)${tenOperators.repeat(operators / 10)}
    .to(out);
});
export const unused = windows;
`;
}

function instantiations(text: string): number {
  const file = `${packages}dsl/src/chain-under-test.ts`;
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [`${packages}../node_modules/@types`],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    paths: Object.fromEntries(['core', 'state', 'topology'].map((name) => [`@millrace/${name}`, [`${packages}${name}/src/index.ts`]])),
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? text : readFile(name));
  host.getSourceFile = (name, how) => (name === file ? ts.createSourceFile(name, text, how) : getSourceFile(name, how));
  const program = ts.createProgram([file], options, host);
  const source = program.getSourceFile(file);
  const mistakes = program.getSemanticDiagnostics(source).map((each) => ts.flattenDiagnosticMessageText(each.messageText, '\n'));
  expect(mistakes).toEqual([]);
  return program.getInstantiationCount();
}

test('a chain of a hundred operators costs the compiler at most a hundred instantiations an operator', () => {
  const perOperator = (instantiations(chain(OPERATORS)) - instantiations(chain(0))) / OPERATORS;
  expect(perOperator).toBeLessThan(INSTANTIATIONS_PER_OPERATOR_MAX);
  expect(perOperator).toBeGreaterThan(0);
});
