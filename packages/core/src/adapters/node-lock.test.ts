import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from './node-lock.ts';
import { ownIdentity } from './process-identity.ts';

const linux = process.platform === 'linux'; // start times come from /proc
let root: string;
let path: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-lock-'));
  path = join(root, 'lock');
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(root, { recursive: true, force: true });
});

/** A process that only exists. */
async function bystander(): Promise<ChildProcess> {
  const script = join(root, 'bystander.cjs');
  writeFileSync(script, "process.send('up'); process.on('message', () => {});");
  const child = fork(script, { execArgv: [] });
  children.push(child);
  await once(child, 'message');
  return child;
}

const deadOwner = (token = '00112233445566ff'): string => JSON.stringify({ ...ownIdentity(), start: ownIdentity().start - 1000, token });
const owner = (): { pid: number; token: string } => JSON.parse(readFileSync(path, 'utf8'));

test('the lock names this process and is removed on release', () => {
  const lock = takeLock(path);
  expect(owner().pid).toBe(process.pid);
  lock?.release();
  expect(readdirSync(root)).toEqual([]);
});

test("a dead owner's lock is taken over and leaves no other files", () => {
  writeFileSync(path, deadOwner());
  expect(takeLock(path)).toBeDefined();
  expect(owner().pid).toBe(process.pid);
  expect(readdirSync(root)).toEqual(['lock']);
});

test.runIf(linux)('the number of a dead owner that another process got since does not keep the lock', async () => {
  const child = await bystander();
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), pid: child.pid, start: 1, token: '00112233445566ff' }));
  expect(takeLock(path)).toBeDefined();
});

test.runIf(linux)('a live foreign process keeps its lock until it dies', async () => {
  const child = await bystander();
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
  const start = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), pid: child.pid, start, token: '00112233445566ff' }));
  expect(takeLock(path)).toBeUndefined();
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(takeLock(path)).toBeDefined();
});

test('a lock of before the last boot, or of another machine, is stale', () => {
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), boot: 'another boot', token: '00112233445566ff' }));
  takeLock(path)?.release();
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), place: 'another machine', token: '00112233445566ff' }));
  expect(takeLock(path)).toBeDefined();
});

test('a damaged lock file is nobody’s', () => {
  writeFileSync(path, '{"pid":');
  expect(takeLock(path)).toBeDefined();
});

test('a taker that died between its claim and the take-over does not block the next', () => {
  writeFileSync(path, deadOwner('aaaaaaaaaaaaaaaa'));
  writeFileSync(`${path}.aaaaaaaaaaaaaaaa`, deadOwner('bbbbbbbbbbbbbbbb'));
  expect(takeLock(path)).toBeDefined();
  expect(readdirSync(root)).toEqual(['lock']);
});

test('a live taker in the middle of a take-over keeps others out', () => {
  writeFileSync(path, deadOwner('aaaaaaaaaaaaaaaa'));
  writeFileSync(`${path}.aaaaaaaaaaaaaaaa`, JSON.stringify({ ...ownIdentity(), token: 'bbbbbbbbbbbbbbbb' }));
  expect(takeLock(path)).toBeUndefined();
});

test('of many processes that find a dead lock at once exactly one gets it', async () => {
  const script = join(root, 'taker.ts');
  const rounds = join(root, 'rounds');
  const module = fileURLToPath(new URL('./node-lock.ts', import.meta.url));
  // Each child is a copy of vitest's TypeScript through the compiler's own transpile, so that no build is needed.
  const ts = await import('typescript');
  const compile = (file: string): string =>
    ts.transpileModule(readFileSync(file, 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, rewriteRelativeImportExtensions: true },
    }).outputText;
  writeFileSync(join(root, 'node-lock.mjs'), compile(module).replace('./process-identity.js', './process-identity.mjs'));
  writeFileSync(join(root, 'process-identity.mjs'), compile(module.replace('node-lock', 'process-identity')));
  writeFileSync(
    script.replace('.ts', '.mjs'),
    `import { takeLock } from './node-lock.mjs';
     process.on('message', (path) => process.send(takeLock(path) !== undefined)); process.send('up');`,
  );
  const takers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = fork(script.replace('.ts', '.mjs'), { execArgv: [] });
      children.push(child);
      await once(child, 'message');
      return child;
    }),
  );
  for (let round = 0; round < 40; round++) {
    const lock = `${rounds}-${round}`;
    writeFileSync(lock, deadOwner());
    const answers = takers.map((child) => once(child, 'message'));
    for (const child of takers) child.send(lock);
    const got = (await Promise.all(answers)).filter(([taken]) => taken === true).length;
    expect(got).toBe(1);
  }
});
