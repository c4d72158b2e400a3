// Examples in the pages of the packages and in public docstrings compile, and the README quotes the example that `npm start` runs.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const packages = readdirSync(join(root, 'packages')).filter((name) => existsSync(join(root, 'packages', name, 'src/index.ts')));

/** What docstrings take for granted: the names of `millrace`, and those that the pages around them declare. */
const GRANTED = `
type Millrace = typeof import('millrace');
declare const createApp: Millrace['createApp'], isMain: Millrace['isMain'], run: Millrace['run'], MillraceError: Millrace['MillraceError'];
declare const serde: Millrace['serde'], store: Millrace['store'], topic: Millrace['topic'], topicPattern: Millrace['topicPattern'], topology: Millrace['topology'], windows: Millrace['windows'];
declare const testTopology: typeof import('millrace/testkit').testTopology;
declare const checkLock: typeof import('@millrace/topology').checkLock;
declare const readFileSync: typeof import('node:fs').readFileSync;
declare const app: import('millrace').App;
declare const orderTotals: import('millrace').Topology;
declare const totals: import('millrace').KeyValueHandle<string, number>;
declare const counts: import('millrace').KeyValueHandle<string, number>;
declare const lines: import('millrace').Topic<string, string>;
declare const wordCounts: import('millrace').Topic<string, number>;
declare const t: import('millrace').TopologyBuilder;
declare const orders: import('millrace').KStream<string, Order>;
declare const clicks: import('millrace').KStream<string, string>;
declare const profiles: import('millrace').KTable<string, string>;
declare const perHour: import('millrace').KTable<import('millrace').Windowed<string>, number>;
declare const review: import('millrace').Topic<string, Order>;
declare const shipping: import('millrace').Topic<string, Order>;
declare const lateClicks: import('millrace').Topic<string, string>;
declare const shipments: import('millrace').Topic<string, { readonly depot: string }>;
declare const depots: import('millrace').Topic<string, { readonly city: string }>;
declare const retryLater: () => void;
interface Order { readonly cents: number }
interface Visit { readonly page: string }
declare module '*/orders.js' { const orders: import('millrace').Topology; export default orders; }
`;
/** Files whose docstrings users read through `millrace`. */
const PUBLIC = ['core/src/errors', 'core/src/serde/index', 'dsl/src/stream-builder', 'dsl/src/topic', 'dsl/src/windows'].concat([
  'dsl/src/kstream',
  'dsl/src/ktable',
  'dsl/src/grouped',
  'dsl/src/grouped-table',
  'dsl/src/cogrouped',
  'dsl/src/async',
  'dsl/src/processor',
  'millrace/src/app',
  'millrace/src/run',
  'runtime/src/feed',
  'topology/src/store-handle',
  'topology/src/lock/lock-file',
  'testkit/src/test-topology',
]);

/** Pages of the docs whose blocks stand alone. */
const PAGES: readonly string[] = ['docs/lock-file.md', 'docs/describe.md'];

/** Every ```ts block of a text; in docstrings the stars at the line starts go. */
function blocks(path: string): readonly { readonly name: string; readonly code: string }[] {
  const text = readFileSync(join(root, path), 'utf8');
  const plain = path.endsWith('.ts') ? text.replaceAll(/^ *\* ?/gm, '') : text;
  return [...plain.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code], at) => ({ name: `${path}#${at + 1}`, code: code as string }));
}

test('examples compile under the strict options', () => {
  const pages = [...packages.map((name) => `packages/${name}/README.md`), ...PAGES].filter((path) => existsSync(join(root, path)));
  const found = [...pages, ...PUBLIC.map((path) => `packages/${path}.ts`)].flatMap(blocks);
  expect(found.length).toBeGreaterThan(15);
  const texts = new Map(found.map(({ code }, at) => [join(root, `test/docs/example-${at}.ts`), `${code}\nexport {};\n`]));
  texts.set(join(root, 'test/docs/granted.d.ts'), GRANTED);
  const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, composite: false, noEmit: true, allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false },
    root,
  );
  const paths = Object.fromEntries(packages.map((name) => [name === 'millrace' ? name : `@millrace/${name}`, [join(root, `packages/${name}/src/index.ts`)]]));
  paths['millrace/testkit'] = [join(root, 'packages/millrace/src/testkit.ts')];
  const host = ts.createCompilerHost({ ...options, paths });
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = texts.get(path);
    return text === undefined ? getSourceFile(path, languageVersion, ...rest) : ts.createSourceFile(path, text, languageVersion, true);
  };
  const program = ts.createProgram([...texts.keys()], { ...options, paths }, host);
  const mistakes = [...texts.keys()].flatMap((path) => {
    const file = program.getSourceFile(path);
    const name = found[Number(/example-(\d+)/.exec(relative(root, path))?.[1] ?? Number.NaN)]?.name ?? path;
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      (one) => `${name}: ${ts.flattenDiagnosticMessageText(one.messageText, '\n')}`,
    );
  });
  expect(mistakes).toEqual([]);
});

test('what the README quotes stands in the example, line by line', () => {
  const squeeze = (text: string): string =>
    text
      .replaceAll(/\/\/.*$/gm, '')
      .replaceAll(/\s+/g, '')
      .replaceAll(',}', '}');
  const source = squeeze(readFileSync(join(root, 'examples/01-flight-delays/src/topology.ts'), 'utf8'));
  const quoted = /```ts\n(export default topology\('flight-delays'[\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1];
  expect(quoted).toBeDefined();
  let at = 0;
  for (const piece of (quoted ?? '').split(/\n|…/).map(squeeze)) {
    const next = source.indexOf(piece, at);
    expect(next, `README.md quotes ${piece}, which topology.ts does not have after what comes before it`).toBeGreaterThanOrEqual(at);
    at = next + piece.length;
  }
});
