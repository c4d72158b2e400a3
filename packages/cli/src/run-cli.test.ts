import { memoryDisk, memoryNetwork, seededChance, silentLogger, virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import type { CliDeps } from './command.ts';
import { runCli } from './run-cli.ts';

interface Process {
  readonly deps: CliDeps;
  readonly out: string[];
  readonly err: string[];
  readonly exits: number[];
  readonly signal: () => void;
  readonly hangUp: () => void;
  /** Resolves when the first line is out. */
  readonly ready: Promise<void>;
  readonly time: ReturnType<typeof virtualTime>;
}

function fakeProcess(modules: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {}): Process {
  const time = virtualTime({ startMs: 1_000_000 });
  const out: string[] = [];
  const err: string[] = [];
  const exits: number[] = [];
  let stop: () => void = () => {};
  let reload: () => void = () => {};
  let printed: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    printed = resolve;
  });
  const deps: CliDeps = {
    printLine(line) {
      out.push(line);
      printed();
    },
    printError: (text) => void err.push(text),
    ports: { clock: time.clock, timers: time.timers, chance: seededChance(1), network: memoryNetwork(time.timers), disk: memoryDisk(), log: silentLogger },
    loadModule: async (path) => modules[path] ?? Promise.reject(new Error(`Cannot find module '${path}'`)),
    onStop(given) {
      stop = given;
      return () => {};
    },
    onReload(given) {
      reload = given;
      return () => {};
    },
    exitNow: (code) => void exits.push(code),
  };
  return { deps, out, err, exits, signal: () => stop(), hangUp: () => reload(), ready, time };
}

/** Drives virtual time until `work` is done. */
async function driven<T>(time: Process['time'], work: Promise<T>): Promise<T> {
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  for (let step = 0; step < 10_000 && !done; step++) await time.advance(1);
  return ended;
}

test('the broker prints one line when it is ready and stops cleanly on a signal', async () => {
  const { deps, out, err, signal, ready, time } = fakeProcess();
  const code = runCli(['broker', '--port', '9092', '--data-dir=/data'], deps);
  await driven(time, ready);
  expect(out).toEqual(['broker ready on 127.0.0.1:9092, data in /data']);
  signal();
  expect(await driven(time, code)).toBe(0);
  expect(err).toEqual([]);
  const again = await deps.ports.network.listen({ host: '127.0.0.1', port: 9092 }, () => ({ onData() {}, onClose() {} }));
  expect(again.port).toBe(9092);
});

test('a second signal does not wait for a clean stop', async () => {
  const { deps, exits, signal, ready, time } = fakeProcess();
  const code = runCli(['broker', '--data-dir', '/data'], deps);
  await driven(time, ready);
  signal();
  signal();
  expect(exits).toEqual([1]);
  await driven(time, code);
});

test('a port in use is one paragraph on stderr and exit code 1', async () => {
  const { deps, out, err, time } = fakeProcess();
  await deps.ports.network.listen({ host: '127.0.0.1', port: 9092 }, () => ({ onData() {}, onClose() {} }));
  expect(await driven(time, runCli(['broker', '--data-dir', '/data'], deps))).toBe(1);
  expect(out).toEqual([]);
  expect(err).toHaveLength(1);
  expect(err[0]).toContain('9092');
  expect(err[0]).not.toContain('\n');
});

test.each([
  [['broker'], '--data-dir'],
  [['broker', '--data-dir'], 'needs a value'],
  [['broker', '--data-dir', '--port', '1'], 'needs a value'],
  [['broker', '--data-dir', 'd', '--port', 'http'], '--port is "http"'],
  [['broker', '--data-dir', 'd', '--port', '70000'], 'from 0 to 65535'],
  [['broker', '--data-dir', 'd', '--data-dir', 'e'], 'more than once'],
  [['broker', '--datadir', 'd'], '"--datadir" is not an option'],
  [['brokr'], 'There is no command "brokr"'],
])('%j is refused with what is right, and exit code 2', async (argv, words) => {
  const { deps, out, err } = fakeProcess();
  expect(await runCli(argv, deps)).toBe(2);
  expect(err.join()).toContain(words);
  expect(out).toEqual([]);
});

test('a file gives the settings, flags come before it, and metrics are served for whoever asks on this machine', async () => {
  const { deps, out, signal, ready, time } = fakeProcess();
  deps.ports.disk.makeDirectory('/etc');
  deps.ports.disk.replaceWhole('/etc/broker.properties', Buffer.from('port=9093\ndataDir=/data\nlimits.connectionsMax=7\n'));
  const code = runCli(['broker', '--config', '/etc/broker.properties', '--port', '9094', '--metrics-port', '9095'], deps);
  await driven(time, ready);
  expect(out).toEqual(['broker ready on 127.0.0.1:9094, data in /data, metrics on http://127.0.0.1:9095/metrics']);
  const get = async (line: string): Promise<string> => {
    let text = '';
    const closed = new Promise<void>((resolve) => {
      const events = { onData: (chunk: Buffer) => void (text += chunk.toString()), onClose: () => resolve() };
      void deps.ports.network
        .connect({ host: '127.0.0.1', port: 9095, timeoutMs: 1_000 }, events)
        .then((socket) => socket.write(Buffer.from(`${line}\r\nHost: x\r\n\r\n`)));
    });
    await driven(time, closed);
    return text;
  };
  const page = await get('GET /metrics HTTP/1.1');
  expect(page).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(page).toContain('# TYPE millrace_broker_connections gauge\nmillrace_broker_connections 0\n');
  expect(page).toContain('millrace_broker_topics ');
  expect(await get('POST /metrics HTTP/1.1')).toMatch(/^HTTP\/1\.1 404/);
  signal();
  expect(await driven(time, code)).toBe(0);
});

test('an address that others can reach is refused without a login, and the refusal names the ways out', async () => {
  const { deps, out, err, time } = fakeProcess();
  expect(await driven(time, runCli(['broker', '--data-dir', '/data', '--host', '0.0.0.0'], deps))).toBe(1);
  expect(out).toEqual([]);
  expect(err[0]).toContain('security.sasl');
  expect(err[0]).toContain('security.exposeUnsafely');
});

test.each([
  ['is not there', undefined, '/etc/none.json'],
  ['has an unknown setting', '{"dataDri": "x"}', 'Did you mean dataDir?'],
  ['has a value that makes no sense', '{"dataDir": "/data", "partitions": 0}', 'partitions is 0'],
])('a configuration that %s is one paragraph on stderr and exit code 1', async (_what, text, words) => {
  const { deps, err, time } = fakeProcess();
  deps.ports.disk.makeDirectory('/etc');
  if (text !== undefined) deps.ports.disk.replaceWhole('/etc/broker.json', Buffer.from(text));
  expect(await driven(time, runCli(['broker', '--config', text === undefined ? '/etc/none.json' : '/etc/broker.json'], deps))).toBe(1);
  expect(err.join()).toContain(words);
});

test('help begins with an example', async () => {
  for (const argv of [['--help'], ['broker', '--help'], ['help']]) {
    const { deps, out } = fakeProcess();
    expect(await runCli(argv, deps)).toBe(0);
    expect(out[0]).toMatch(/^Example: /);
  }
  const { deps, out } = fakeProcess();
  expect(await runCli([], deps)).toBe(2);
  expect(out[0]).toMatch(/^Example: /);
});
