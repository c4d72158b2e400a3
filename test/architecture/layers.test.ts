// Imports go strictly to a lower level, only through a package's index, and never in a circle.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { manifests, packageFolders, resolveRelative, root, rootDevDependencies, type SourceFile, shipped, sources } from './source-tree.ts';

/** The levels of the design: a package may import lower levels only. */
const LEVELS: Readonly<Record<string, number>> = {
  core: 0,
  state: 1,
  protocol: 1,
  serdes: 1,
  topology: 2,
  'state-rocksdb': 2,
  'state-lmdb': 2,
  client: 2,
  broker: 2,
  dsl: 3,
  runtime: 3,
  query: 4,
  connect: 4,
  testkit: 4,
  sim: 4,
  cli: 5,
  millrace: 6,
};
/** Lower, and forbidden all the same: these meet only where a program is put together. */
const STRANGERS: readonly (readonly [from: string, to: string])[] = [
  ['runtime', 'broker'],
  ['query', 'broker'],
];

/** The package folder an import means; undefined for anything outside the workspace. */
function workspacePackage(specifier: string): string | undefined {
  const name = /^(?:@millrace\/([^/]+)|(millrace))(?:\/|$)/.exec(specifier);
  return name?.[1] ?? name?.[2];
}

const at = (file: SourceFile, line: number, what: string): string => `${file.path}:${line} ${what}`;

test('every package has a level', () => {
  expect(
    packageFolders.filter((folder) => LEVELS[folder] === undefined),
    'Give the new package its level in LEVELS, and its line in docs/decisions.',
  ).toEqual([]);
});

test('imports go strictly to a lower level', () => {
  const wrong: string[] = [];
  for (const file of shipped) {
    for (const { specifier, line } of file.imports) {
      const target = workspacePackage(specifier);
      if (target === undefined) continue;
      const strangers = STRANGERS.some(([from, to]) => from === file.packageName && to === target);
      if (strangers || (LEVELS[target] ?? Number.NaN) >= (LEVELS[file.packageName] ?? Number.NaN)) wrong.push(at(file, line, `imports ${specifier}`));
    }
  }
  expect(
    wrong,
    'Calls go down, values come up: declare the interface you need in your own package and let a higher one implement it, or move the shared idea down.',
  ).toEqual([]);
});

test('other packages are entered through their index, and relative imports stay inside and end in .ts', () => {
  const wrong: string[] = [];
  for (const file of sources) {
    for (const { specifier, line } of file.imports) {
      if (specifier.startsWith('.')) {
        const target = resolveRelative(file, specifier);
        if (!target.startsWith(`packages/${file.packageName}/src/`)) wrong.push(at(file, line, `leaves its package by ${specifier}`));
        if (!specifier.endsWith('.ts') && !specifier.endsWith('.json')) wrong.push(at(file, line, `${specifier} has no .ts ending`));
      } else if (workspacePackage(specifier) !== undefined && !/^(@millrace\/)?[a-z-]+$/.test(specifier)) {
        wrong.push(at(file, line, `enters a package by the side door ${specifier}`));
      }
    }
  }
  expect(wrong, 'Import from "@millrace/<package>". If a name is missing there, its owner exports it from index.ts by name.').toEqual([]);
});

test('the files of a package import each other in no circle', () => {
  const circles = packageFolders.flatMap((folder) => circlesOf(shipped.filter((file) => file.packageName === folder)));
  expect(circles, 'Break the circle where the child needs its parent: let the child declare the few members it needs (rule 6), or pass the value in.').toEqual(
    [],
  );
});

test('what is shipped does not import what is for tests', () => {
  const forTests = new Set(sources.filter((file) => file.isTest).map((file) => file.path));
  const wrong = shipped.flatMap((file) =>
    file.imports
      .filter(({ specifier }) => specifier.startsWith('.') && forTests.has(resolveRelative(file, specifier)))
      .map(({ specifier, line }) => at(file, line, `imports ${specifier}`)),
  );
  expect(wrong, 'Move what both need into a file of its own outside the folder "testing".').toEqual([]);
});

/** Files that load each other, as text. Type imports do not count: they are gone at run time, and the types of a fluent API name each other by nature. */
function circlesOf(files: readonly SourceFile[]): readonly string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const targets = (file: SourceFile): readonly SourceFile[] =>
    file.imports
      .filter(({ specifier, typeOnly }) => !typeOnly && specifier.startsWith('.'))
      .flatMap(({ specifier }) => byPath.get(resolveRelative(file, specifier)) ?? []);
  const circles: string[] = [];
  const done = new Set<SourceFile>();
  const path: SourceFile[] = [];
  const visit = (file: SourceFile): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      circles.push([...path.slice(start), file].map((one) => one.path.replace(/^packages\//, '')).join(' → '));
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of targets(file)) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of files) visit(file);
  return circles;
}

test('package.json names exactly what is imported', () => {
  const wrong: string[] = [];
  for (const manifest of manifests) {
    const mine = sources.filter((file) => file.packageName === manifest.folder);
    if (mine.length === 0) continue;
    const used = importedPackages(mine.filter((file) => !file.isTest));
    const usedByTests = importedPackages(mine.filter((file) => file.isTest));
    for (const name of used) if (!manifest.dependencies.includes(name)) wrong.push(`packages/${manifest.folder}/package.json lacks the dependency ${name}`);
    for (const name of usedByTests) {
      if (![...manifest.dependencies, ...manifest.devDependencies, ...rootDevDependencies].includes(name))
        wrong.push(`packages/${manifest.folder}/package.json lacks the devDependency ${name} of its tests`);
    }
    for (const name of manifest.dependencies)
      if (!used.has(name) && !manifest.optional.includes(name))
        wrong.push(`packages/${manifest.folder}/package.json has the dependency ${name}, which nothing imports`);
  }
  expect(wrong, 'Add or remove the line in package.json, then run npm install once and commit the lockfile with it.').toEqual([]);
});

test('tsconfig.json refers to every package of the workspace that is imported', () => {
  const wrong: string[] = [];
  for (const manifest of manifests) {
    const used = new Set(
      sources
        .filter((file) => file.packageName === manifest.folder)
        .flatMap((file) => file.imports.flatMap(({ specifier }) => workspacePackage(specifier) ?? [])),
    );
    for (const folder of used)
      if (folder !== manifest.folder && !manifest.references.includes(folder))
        wrong.push(`packages/${manifest.folder}/tsconfig.json lacks the reference ../${folder}`);
  }
  expect(wrong, 'Without the reference, tsc -b builds in the wrong order on a fresh clone.').toEqual([]);
});

function importedPackages(files: readonly SourceFile[]): Set<string> {
  const names = files
    .flatMap((file) => file.imports.map(({ specifier }) => specifier))
    .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'));
  return new Set(
    names.map((name) =>
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    ),
  );
}

test('the lockfile holds no download addresses', () => {
  const found = readFileSync(join(root, 'package-lock.json'), 'utf8').match(/"resolved": "http[^"]*"/g) ?? [];
  expect(found.slice(0, 5), 'npm wrote them without omit-lockfile-registry-resolved=true of .npmrc; run npm install in the root again.').toEqual([]);
});

test('the lockfile holds every optional package of every platform', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => packages[`node_modules/${name}`] === undefined && packages[`${path}/node_modules/${name}`] === undefined,
    ),
  );
  expect(
    missing,
    'npm ci refuses such a lockfile, on every platform. npm install drops entries that its registry does not carry: put them back as they were.',
  ).toEqual([]);
});
