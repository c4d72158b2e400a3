// What people see when something is wrong: real processes, each of which must end by itself with one paragraph that names the fix
// on standard error, nothing on standard output, and a code other than 0. Runs the built packages (`npm test` builds first).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const built = (path: string): URL => new URL(`../../${path}`, import.meta.url);
const EXAMPLE = fileURLToPath(built('examples/01-flight-delays/dist/main.js'));
// What `npm run broker` runs once everything is built.
const BROKER = [
  '--input-type=module',
  '-e',
  `import { processDeps, runCli } from ${JSON.stringify(built('packages/cli/dist/index.js').href)};
process.exitCode = await runCli(['broker', ...process.argv.slice(1)], processDeps());`,
  '--',
];
/** Far longer than any of them takes: a hang shows as the signal in the outcome. */
const HANG_MS = 40_000;

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

let folder = '';
let running: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-errors-'));
  running = [];
});
afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

function start(args: readonly string[]): ChildProcess {
  // Without NODE_OPTIONS and the like of the test runner: as from a shell.
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, HOME: process.env.HOME } });
  running.push(child);
  return child;
}

async function outcomeOf(...args: string[]): Promise<Outcome> {
  const child = start(args);
  const hang = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  await once(child, 'close');
  clearTimeout(hang);
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
}
const example = (...args: string[]): Promise<Outcome> => outcomeOf(EXAMPLE, '--once', '--json', ...args);
const broker = (...args: string[]): Promise<Outcome> => outcomeOf(...BROKER, ...args);

/** One line, all of it for a person: what is wrong (`what`) and what to do (`fix`). */
function expectOneParagraph(outcome: Outcome, what: string, fix: RegExp): void {
  expect(outcome).toMatchObject({ signal: null, stdout: '' });
  expect(outcome.code).not.toBe(0);
  expect(outcome.stderr).toMatch(/^[^\n]+\n$/);
  expect(outcome.stderr).not.toMatch(/ at .*:\d+:\d+|^\{|node:internal/);
  expect(outcome.stderr).toContain(what);
  expect(outcome.stderr).toMatch(fix);
}

describe('a port in use', () => {
  const holder = createServer();
  let port = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    port = String((holder.address() as AddressInfo).port);
  });
  afterAll(() => new Promise((resolve) => holder.close(resolve)));

  test('for queries is named, with the ways out', async () => {
    expectOneParagraph(await example('--http-port', port), `Port ${port} on 127.0.0.1 is in use`, /Stop the process .* another port, or 0/);
  });
  test('for the broker is named, with the ways out', async () => {
    expectOneParagraph(await broker('--port', port, '--data-dir', 'd'), `Port ${port} on 127.0.0.1 is in use`, /Stop the process .* another port, or 0/);
  });
});

describe('a broker that is not there', () => {
  test('is named by its address', async () => {
    expectOneParagraph(
      await example('--http-port', '0', '--brokers', '127.0.0.1:1'),
      'No broker answered at 127.0.0.1:1',
      /Check that a broker is running there.*nothing listens there/,
    );
  });
  test('is told from an address that is none', async () => {
    expectOneParagraph(await example('--http-port', '0', '--brokers', 'kafka'), '"kafka" is not a broker address', /Write host:port/);
  });
  test('is told to a script that uses run', async () => {
    expectOneParagraph(
      await script("export default flow;\nif (isMain(import.meta)) await run(flow, { ...options, brokers: ['127.0.0.1:1'] });"),
      'No broker answered at 127.0.0.1:1',
      /Check that a broker is running there/,
    );
  });
});

describe('a broken data directory', () => {
  const whole = mkdtempSync(join(tmpdir(), 'millrace-whole-'));
  const damagedCopy = (damage: (dataDir: string) => void): string => {
    const dataDir = join(folder, 'data');
    cpSync(whole, dataDir, { recursive: true });
    damage(dataDir);
    return dataDir;
  };
  const run = (dataDir: string): Promise<Outcome> => example('--http-port', '0', '--data-dir', dataDir);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-errors-')); // not yet there for what runs before all
    expect((await example('--http-port', '0', '--data-dir', whole)).code).toBe(0);
    rmSync(folder, { recursive: true });
  });
  afterAll(() => rmSync(whole, { recursive: true, force: true }));

  test('that is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    expectOneParagraph(await run('file'), `${join(folder, 'file')}`, /it is a file, .* must be a directory\. .* below stateDir \(.*file\): give another one/);
    expectOneParagraph(await broker('--port', '0', '--data-dir', 'file'), 'cannot use file as', /it is a file, .* must be a directory\. Choose a directory/);
  });
  test.each([
    ['empty', ''],
    ['cut', '{"version":1,"clu'],
    ['without its fields', '{}'],
  ])('whose meta.json is %s', async (_, text) => {
    const dataDir = damagedCopy((at) => writeFileSync(join(at, '$broker', 'meta.json'), text));
    expectOneParagraph(await run(dataDir), join(dataDir, '$broker', 'meta.json'), /Restore it from a backup, or choose another directory/);
  });
  test('that holds something else', async () => {
    mkdirSync(join(folder, 'photos', '$broker'), { recursive: true });
    writeFileSync(join(folder, 'photos', '$broker', 'cat.jpg'), '');
    expectOneParagraph(await run('photos'), 'cat.jpg', /Choose an empty or new directory/);
  });
  test('whose place for stores is a file', async () => {
    const dataDir = damagedCopy((at) => {
      rmSync(join(at, 'flight-delays'), { recursive: true });
      writeFileSync(join(at, 'flight-delays'), '');
    });
    expectOneParagraph(await run(dataDir), join(dataDir, 'flight-delays'), /make it a folder this user may write to/);
  });
  test('whose stores another version has written', async () => {
    const dataDir = damagedCopy((at) => {
      for (const instance of readdirSync(join(at, 'flight-delays'))) writeFileSync(join(at, 'flight-delays', instance, 'format'), 'millrace-state 99\n');
    });
    expectOneParagraph(await run(dataDir), 'written by another version', /Use that version, or remove the folder/);
  });
  test('that another broker uses', async () => {
    const first = start([...BROKER, '--port', '0', '--data-dir', 'd']);
    if (first.stdout === null) throw new Error('no pipe');
    await once(first.stdout, 'data');
    expectOneParagraph(
      await broker('--port', '0', '--data-dir', 'd'),
      'data directory d is in use',
      /Stop that broker, connect to it instead, or choose another/,
    );
  });
});

const HEAD = `
import { createApp, isMain, run, serde, topic, topology } from ${JSON.stringify(built('packages/millrace/dist/index.js').href)};
const text = { key: serde.string(), value: serde.string(), partitions: 1 };
const flow = topology('flow', (t) => t.stream(topic('in', text)).to(topic('out', text)));
const options = { module: import.meta.url, http: false };
`;

function script(body: string): Promise<Outcome> {
  const file = join(folder, 'script.mjs');
  writeFileSync(file, `${HEAD}${body}\n`);
  return outcomeOf(file);
}

describe('a wrong script', () => {
  test('that runs what is no topology', async () => {
    expectOneParagraph(await script('if (isMain(import.meta)) await run({ name: "flow" }, options);'), 'no topology', /Pass what topology\(/);
  });
  test.each(['export default { name: "flow" };', ''])('whose default export is no topology: %s', async (exported) => {
    expectOneParagraph(
      await script(`${exported}\nif (isMain(import.meta)) await run(flow, options);`),
      'script.mjs has no topology as its default export',
      /write `export default topology\(/,
    );
  });
  test.each(['await run(flow, options);', 'void run(flow, options);'])('that does not guard the start: %s', async (call) => {
    expectOneParagraph(await script(`export default flow;\n${call}`), 'run() was called in a worker thread', /Guard the call: if \(isMain\(import\.meta\)\)/);
  });
  test('that fails in the worker only', async () => {
    expectOneParagraph(
      await script('export default flow;\nif (!isMain(import.meta)) throw new TypeError("no argument given");\nawait run(flow, options);'),
      'script.mjs could not be loaded in a worker thread',
      /Mend what the cause says; .*Caused by: no argument given/,
    );
  });
  test('that names a module which is not there', async () => {
    expectOneParagraph(
      await script("if (isMain(import.meta)) await run(flow, { ...options, module: new URL('./missing.mjs', import.meta.url) });"),
      'missing.mjs could not be loaded',
      /Mend what the cause says/,
    );
  });
  test('that sets an option wrongly', async () => {
    expectOneParagraph(await script('await run(flow, { ...options, workers: -1 });'), 'workers is -1', /it must be a whole number from 0 to/);
  });
  test('may catch the failure itself, and any other error of its own keeps its stack', async () => {
    const caught = await script('try { await run(flow, { workers: -1 }); } catch (error) { console.log("caught", error.code); }');
    expect(caught).toMatchObject({ code: 0, stdout: 'caught ERR_OPTION\n', stderr: '' });
    const other = await script('try { await run(flow, { workers: -1 }); } catch { throw new TypeError("of my own"); }');
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toMatch(/TypeError: of my own\n {4}at .*script\.mjs/);
  });
});

test('a second start of a named instance says who runs and what to do', async () => {
  const body = "export default flow;\nif (isMain(import.meta)) { await run(flow, { ...options, instanceId: 'a' }); console.log('up'); }";
  writeFileSync(join(folder, 'script.mjs'), `${HEAD}${body}\n`);
  const first = start([join(folder, 'script.mjs')]);
  if (first.stdout === null) throw new Error('no pipe');
  await once(first.stdout, 'data');
  expectOneParagraph(
    await outcomeOf(join(folder, 'script.mjs')),
    "instance 'a' is already running",
    /Stop it first, or start this one with another instanceId/,
  );
});
