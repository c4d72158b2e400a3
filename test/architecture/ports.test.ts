// Time, chance and place are passed in: the machine is touched in a few named files only.
import { expect, test } from 'vitest';
import { globalUses, type SourceFile, shipped } from './source-tree.ts';

const adapters = (path: string): boolean => path.startsWith('packages/core/src/adapters/');
const engines = (path: string): boolean => /^packages\/state-(rocksdb|lmdb)\/src\//.test(path);
const programs = (path: string): boolean => /^packages\/(millrace|cli)\/src\//.test(path);

/** Node's modules that reach the machine, and the files that may import them. Modules of pure computing are not listed. */
const MODULES: Readonly<Record<string, (path: string) => boolean>> = {
  'node:net': (path) => adapters(path) || path === 'packages/query/src/node-http.ts',
  'node:tls': adapters,
  'node:dns': adapters,
  'node:dgram': () => false,
  'node:http': (path) => path === 'packages/query/src/node-http.ts',
  'node:https': () => false,
  'node:http2': () => false,
  'node:fs': (path) => adapters(path) || engines(path) || path === 'packages/millrace/src/run.ts', // which script was started
  'node:fs/promises': (path) => adapters(path) || engines(path),
  'node:child_process': engines,
  'node:cluster': () => false,
  'node:worker_threads': (path) => adapters(path) || engines(path),
  'node:timers': adapters,
  'node:timers/promises': adapters,
  'node:perf_hooks': adapters,
  'node:crypto': adapters,
  'node:os': (path) => adapters(path) || engines(path) || programs(path),
  'node:zlib': (path) => path.startsWith('packages/protocol/src/compression/'),
};

/** Names of those modules that only compute. */
const PURE: Readonly<Record<string, readonly string[]>> = {
  'node:crypto': ['createHash', 'createHmac', 'hash', 'pbkdf2', 'pbkdf2Sync', 'timingSafeEqual'],
};

/** Globals that reach the machine, and the files that may use them. */
const GLOBALS: Readonly<Record<string, (path: string) => boolean>> = {
  'Date.now': adapters,
  'new Date()': adapters,
  'performance.now': adapters,
  'Math.random': adapters,
  'crypto.randomUUID': adapters,
  'crypto.getRandomValues': adapters,
  setTimeout: adapters,
  setInterval: adapters,
  setImmediate: adapters,
  fetch: () => false,
  WebSocket: () => false,
  'process.env': programs,
  'process.hrtime': adapters,
  'process.nextTick': adapters,
};

const at = (file: SourceFile, line: number, what: string): string => `${file.path}:${line} ${what}`;

test('modules that reach the machine are imported by their adapters only', () => {
  const wrong: string[] = [];
  for (const file of shipped) {
    for (const { specifier, line, typeOnly, names } of file.imports) {
      if (!typeOnly && !names.every((name) => PURE[specifier]?.includes(name)) && MODULES[specifier]?.(file.path) === false)
        wrong.push(at(file, line, `imports ${specifier}`));
      if (!specifier.startsWith('node:') && MODULES[`node:${specifier}`] !== undefined) wrong.push(at(file, line, `imports ${specifier} without node:`));
    }
  }
  expect(wrong, 'Take the port of @millrace/core instead (Clock, Timers, Chance, Network, Disk, Threads), handed in by whoever creates the part.').toEqual([]);
});

test('no clock, chance, timer or environment outside the adapters', () => {
  const wrong = shipped.flatMap((file) =>
    globalUses(file).flatMap(({ name, line }) =>
      Object.hasOwn(GLOBALS, name) && GLOBALS[name]?.(file.path) === false ? [at(file, line, `uses ${name}`)] : [],
    ),
  );
  expect(
    wrong,
    'A part that reads the machine cannot be simulated or replayed: take Clock, Timers or Chance as an argument. Settings from the environment are read in millrace and cli only.',
  ).toEqual([]);
});
