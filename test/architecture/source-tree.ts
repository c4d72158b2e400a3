// Reads the packages as text and syntax trees, for the rules of this folder.
// Owns: what counts as an import and as a use of a global.  Never: decides what is allowed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface ImportLine {
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** Names imported as values; '*' for a whole module or a dynamic import. */
  readonly names: readonly string[];
  readonly line: number;
}

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly packageName: string;
  /** Tests, and what lies in a folder `testing` for them. */
  readonly isTest: boolean;
  readonly text: string;
  readonly imports: readonly ImportLine[];
  readonly tree: ts.SourceFile;
}

export interface PackageManifest {
  readonly folder: string;
  readonly name: string;
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
  readonly optional: readonly string[];
  readonly references: readonly string[];
}

export const packageFolders: readonly string[] = readdirSync(join(root, 'packages')).filter((name) => existsSync(join(root, 'packages', name, 'package.json')));

export const sources: readonly SourceFile[] = packageFolders.flatMap((folder) =>
  filesUnder(join(root, 'packages', folder, 'src')).map((path) => readSource(path, folder)),
);

/** Without tests and what only tests use. */
export const shipped: readonly SourceFile[] = sources.filter((file) => !file.isTest);

export const manifests: readonly PackageManifest[] = packageFolders.map((folder) => {
  const manifest = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')) as Record<string, Record<string, string> | undefined> & {
    name: string;
  };
  const config = JSON.parse(readFileSync(join(root, 'packages', folder, 'tsconfig.json'), 'utf8')) as { references?: { path: string }[] };
  const names = (field: string): readonly string[] => Object.keys(manifest[field] ?? {});
  return {
    folder,
    name: manifest.name,
    dependencies: [...names('dependencies'), ...names('optionalDependencies'), ...names('peerDependencies')],
    devDependencies: names('devDependencies'),
    optional: [...names('optionalDependencies'), ...names('peerDependencies')],
    references: (config.references ?? []).map((reference) => posix.basename(reference.path)),
  };
});

export const rootDevDependencies: readonly string[] = Object.keys(
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> }).devDependencies,
);

function filesUnder(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function readSource(path: string, folder: string): SourceFile {
  const text = readFileSync(path, 'utf8');
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  return {
    path: relative(root, path).replaceAll('\\', '/'),
    packageName: folder,
    isTest: /\.(test|fuzz|bench|test-d|case)\.ts$|[\\/]src[\\/]testing[\\/]/.test(path),
    text,
    imports: importsOf(tree),
    tree,
  };
}

function importsOf(tree: ts.SourceFile): readonly ImportLine[] {
  const found: ImportLine[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean, names: readonly string[] = ['*']): void => {
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) found.push({ specifier: specifier.text, typeOnly, names, line: lineOf(tree, node) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeOnlyImport(node), namesOf(node));
    else if (ts.isExportDeclaration(node)) add(node, node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node, node.arguments[0], false);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node, node.argument.literal, true);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function isTypeOnlyImport(node: ts.ImportDeclaration): boolean {
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  return (
    clause.name === undefined &&
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.length > 0 &&
    bindings.elements.every((element) => element.isTypeOnly)
  );
}

function namesOf(node: ts.ImportDeclaration): readonly string[] {
  const bindings = node.importClause?.namedBindings;
  if (bindings === undefined || !ts.isNamedImports(bindings) || node.importClause?.name !== undefined) return ['*'];
  return bindings.elements.filter((element) => !element.isTypeOnly).map((element) => (element.propertyName ?? element.name).text);
}

export function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
}

/** The file a relative import means, as a path from the root. */
export function resolveRelative(file: SourceFile, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file.path), specifier));
}

/** `Date.now`, `setTimeout`, `process.env`, `new Date()` … as they are used in code (not in comments, strings or types), with their lines. */
export function globalUses(file: SourceFile): readonly { readonly name: string; readonly line: number }[] {
  const found: { name: string; line: number }[] = [];
  const own = declaredNames(file.tree);
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression))
      found.push({ name: `${node.expression.text}.${node.name.text}`, line: lineOf(file.tree, node) });
    else if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && (node.arguments?.length ?? 0) === 0)
      found.push({ name: `new ${node.expression.text}()`, line: lineOf(file.tree, node) });
    else if (ts.isIdentifier(node) && !own.has(node.text) && !isNameOfSomething(node)) found.push({ name: node.text, line: lineOf(file.tree, node) });
    if (!ts.isTypeNode(node)) ts.forEachChild(node, visit);
  };
  visit(file.tree);
  return found;
}

/** Every name the file declares or imports anywhere: such a name is not the global of that name. */
function declaredNames(tree: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    const binds =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isBindingElement(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isImportSpecifier(node) ||
      ts.isClassDeclaration(node);
    if (binds && node.name !== undefined && ts.isIdentifier(node.name)) names.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return names;
}

function isNameOfSomething(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return true;
  return 'name' in parent && parent.name === node && !ts.isShorthandPropertyAssignment(parent);
}
