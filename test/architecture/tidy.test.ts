// House rules that neither the compiler nor the linter holds.
import { basename } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { lineOf, type SourceFile, shipped, sources } from './source-tree.ts';

const at = (file: SourceFile, node: ts.Node, what: string): string => `${file.path}:${lineOf(file.tree, node)} ${what}`;

test('every file begins with a head that says why it exists', () => {
  const wrong = shipped.filter((file) => !/^(#!.*\n)?(\/\/ \S.{19}|\/\*\*)/.test(file.text)).map((file) => file.path);
  expect(wrong, 'Start the file with a comment: why it exists, what it owns, what it never does, its invariants (style rule 12).').toEqual([]);
});

test('exports are named one by one', () => {
  const wrong: string[] = [];
  for (const file of sources) {
    ts.forEachChild(file.tree, (node) => {
      if (ts.isExportAssignment(node)) wrong.push(at(file, node, 'has a default export'));
      if (ts.isExportDeclaration(node) && (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause)))
        wrong.push(at(file, node, 'has an export *'));
      if (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword))
        wrong.push(at(file, node, 'has a default export'));
    });
  }
  expect(wrong, 'Export each name by name, so that a change of the surface is a visible line (style rule 11).').toEqual([]);
});

test('a file is named after its idea', () => {
  const wrong = shipped.filter((file) => /^(.+-)?(utils?|helpers?|common|types?|misc|constants)\./.test(basename(file.path))).map((file) => file.path);
  expect(wrong, 'Such a file becomes the drawer for everything: name the idea in it.').toEqual([]);
});

test('file names are kebab-case', () => {
  const wrong = sources
    .filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|fuzz|bench|test-d|case|d))?\.ts$/.test(basename(file.path)))
    .map((file) => file.path);
  expect(wrong, 'Name the file after its main export, in kebab-case.').toEqual([]);
});

test('no name hides its meaning behind Impl, Manager or Helper', () => {
  const wrong: string[] = [];
  for (const file of shipped) {
    const visit = (node: ts.Node): void => {
      if (
        (ts.isClassDeclaration(node) ||
          ts.isInterfaceDeclaration(node) ||
          ts.isTypeAliasDeclaration(node) ||
          ts.isFunctionDeclaration(node) ||
          ts.isVariableDeclaration(node)) &&
        node.name !== undefined &&
        ts.isIdentifier(node.name)
      ) {
        if (/(Impl|Manager|Helper|Helpers|Utils?)$/.test(node.name.text)) wrong.push(at(file, node, `declares ${node.name.text}`));
      }
      ts.forEachChild(node, visit);
    };
    visit(file.tree);
  }
  expect(wrong, 'Ports carry the plain noun (LogConsumer), adapters the qualified one (KafkaConsumer); say what it does instead.').toEqual([]);
});

test('index.ts only passes names on', () => {
  const wrong: string[] = [];
  for (const file of sources) {
    if (!/^packages\/[^/]+\/src\/index\.ts$/.test(file.path)) continue;
    ts.forEachChild(file.tree, (node) => {
      const passes = ts.isExportDeclaration(node) || ts.isImportDeclaration(node) || node.kind === ts.SyntaxKind.EndOfFileToken;
      if (!passes) wrong.push(at(file, node, 'holds code'));
    });
  }
  expect(wrong, 'The index is the list of public names; put code into a file of its own.').toEqual([]);
});
