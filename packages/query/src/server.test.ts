// The server over real loopback sockets, with a host whose answers the test decides.
import * as http from 'node:http';
import * as net from 'node:net';
import { type ErasedSerde, MillraceError, serde, silentLogger, systemClock, systemTimers, type Timers } from '@millrace/core';
import { afterEach, describe, expect, test } from 'vitest';
import type { Answer, Location, QueryHost, Refusal, Row, StoreSummary } from './host.ts';
import { createQueryServer, type QueryServer, type QueryServerOptions } from './server.ts';

const erase = (given: unknown): ErasedSerde => given as ErasedSerde;
const meta = { partition: 0, source: 'active', instance: 'one', lag: 0, position: 'p1' } as const;
const rows = (list: readonly Row[], truncated = false): Answer => ({ kind: 'rows', rows: list, truncated, meta });
const store = (name: string, kind: StoreSummary['kind'], key: unknown = serde.string()): StoreSummary => ({
  name,
  kind,
  keySerde: erase(key),
  valueFormat: 'json',
  partitions: 2,
  queryable: true,
});

const COUNTS: readonly Row[] = [
  { key: 'a', value: 1, timestamp: 10 },
  { key: 'b/c d', value: { count: 7n }, timestamp: 20 },
  { key: 'c', value: null, timestamp: 30 },
];
const DAY = 86_400_000;
const from = Date.UTC(2001, 0, 1);
const WINDOWS: readonly Row[] = Array.from({ length: 5 }, (_, day) => ({
  key: 'CA',
  window: { start: from + day * DAY, end: from + (day + 1) * DAY },
  value: { flights: day },
  timestamp: from + day * DAY + 5,
}));

/** An instance that owns everything; tests replace the members they are about. */
function fakeHost(changes: Partial<QueryHost> = {}): QueryHost {
  return {
    stores: () => [
      store('counts', 'keyValue'),
      store('by-number', 'keyValue', serde.int32()),
      store('big', 'keyValue', serde.int64()),
      store('state-delays', 'window'),
      store('visits', 'session'),
      { ...store('secret', 'keyValue'), queryable: false },
    ],
    locate: () => ({ kind: 'local', partition: 0 }),
    partitions: () => [
      { kind: 'local', partition: 0 },
      { kind: 'local', partition: 1 },
    ],
    readKeyValue: (_name, key) => rows(COUNTS.filter((row) => row.key === key)),
    readWindows: (_name, key, range) => {
      const found = WINDOWS.filter((row) => row.key === key && row.window !== undefined && row.window.start >= range.fromMs && row.window.start <= range.toMs);
      return rows(found.slice(0, range.limit), found.length > range.limit);
    },
    readRange: (_name, partition, range) => ({
      ...rows(COUNTS.filter((_, index) => index % 2 === partition).slice(0, range.limit)),
      meta: { ...meta, partition },
    }),
    health: () => ({ alive: true, ready: true, state: 'RUNNING' }),
    ...changes,
  };
}

const servers: QueryServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(changes: Partial<QueryHost> = {}, options: Partial<QueryServerOptions> = {}, timers: Timers = systemTimers): Promise<QueryServer> {
  const server = await createQueryServer({ host: '127.0.0.1', port: 0, portFallback: false, ...options }, fakeHost(changes), {
    clock: systemClock,
    timers,
    log: silentLogger,
  });
  servers.push(server);
  return server;
}

interface Seen {
  readonly status: number;
  readonly type: string | null;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

async function get(server: QueryServer, path: string, init: RequestInit = {}): Promise<Seen> {
  const reply = await fetch(server.url + path, init);
  const text = await reply.text();
  return { status: reply.status, type: reply.headers.get('content-type'), headers: reply.headers, body: text.startsWith('{') ? JSON.parse(text) : { text } };
}

const problem = (status: number, code: string): object => ({
  status,
  type: 'application/problem+json',
  body: expect.objectContaining({ type: `urn:millrace:problem:${code}`, status, code, title: expect.any(String), detail: expect.any(String) }),
});

describe('point reads', () => {
  test('answer key, value, timestamp and where the answer came from', async () => {
    const seen = await get(await serve(), '/v1/stores/counts/entries/a');
    expect(seen).toMatchObject({ status: 200, type: 'application/json' });
    expect(seen.body).toEqual({ key: 'a', value: 1, timestamp: 10, meta: { store: 'counts', ...meta } });
    expect(seen.headers.get('cache-control')).toBe('no-store');
  });

  test('escaped keys arrive whole, 64-bit integers leave as strings', async () => {
    const seen = await get(await serve(), `/v1/stores/counts/entries/${encodeURIComponent('b/c d')}`);
    expect(seen.body).toMatchObject({ key: 'b/c d', value: { count: '7' } });
  });

  test('a stored null is a value; a missing key is 404', async () => {
    const server = await serve();
    expect((await get(server, '/v1/stores/counts/entries/c')).body).toMatchObject({ key: 'c', value: null });
    expect(await get(server, '/v1/stores/counts/entries/nobody')).toMatchObject(problem(404, 'key-not-found'));
  });

  test('binary values are base64 and say so', async () => {
    const server = await serve({ readKeyValue: () => rows([{ key: Buffer.from([1]), value: Buffer.from([1, 2, 3]) }]) });
    expect((await get(server, '/v1/stores/counts/entries/x')).body).toMatchObject({ key: 'AQ==', keyEncoding: 'base64', value: 'AQID', encoding: 'base64' });
  });

  test('HEAD answers like GET, without the body', async () => {
    const reply = await fetch(`${(await serve()).url}/v1/stores/counts/entries/a`, { method: 'HEAD' });
    expect(reply.status).toBe(200);
    expect(Number(reply.headers.get('content-length'))).toBeGreaterThan(10);
    expect(await reply.text()).toBe('');
  });
});

describe('keys', () => {
  test.each([
    ['by-number', '12', 12],
    ['by-number', '-3', -3],
    ['big', '9007199254740993', 9007199254740993n],
    ['counts', '12', '12'],
    ['counts', '%C3%A9', 'é'],
    ['by-number', '12?keyFormat=json', 12],
    ['by-number', '0000000c?keyFormat=hex', 12],
    ['by-number', 'AAAADA?keyFormat=base64', 12],
  ])('%s reads %s as %s', async (name, text, value) => {
    let asked: unknown;
    const server = await serve({
      readKeyValue(_name, key) {
        asked = key;
        return rows([{ key, value: 1 }]);
      },
    });
    expect((await get(server, `/v1/stores/${name}/entries/${text}`)).status).toBe(200);
    expect(asked).toBe(value);
  });

  test.each([
    ['by-number', 'twelve'],
    ['by-number', '1.5'],
    ['by-number', '99999999999'],
    ['big', '99999999999999999999'],
    ['counts', '12?keyFormat=json'],
    ['by-number', 'zz?keyFormat=hex'],
  ])('%s refuses %s', async (name, text) => {
    expect(await get(await serve(), `/v1/stores/${name}/entries/${text}`)).toMatchObject(problem(400, 'invalid-key'));
  });
});

describe('ranges', () => {
  test('rows come in order of partition, with each partition named', async () => {
    const seen = await get(await serve(), '/v1/stores/counts/entries');
    expect((seen.body.items as Row[]).map((row) => row.key)).toEqual(['a', 'c', 'b/c d']);
    expect(seen.body).toMatchObject({
      nextCursor: null,
      meta: { store: 'counts', partial: false, truncated: false, partitions: [meta, { ...meta, partition: 1 }] },
    });
  });

  test('bounds are read by the key serde; the limit holds over all partitions', async () => {
    const asked: unknown[] = [];
    const server = await serve({
      readRange(_name, partition, range) {
        asked.push(range);
        return rows(Array.from({ length: range.limit }, (_, index) => ({ key: partition * 10 + index, value: 0 })));
      },
    });
    const seen = await get(server, '/v1/stores/by-number/entries?from=1&to=9&limit=3');
    expect(asked[0]).toMatchObject({ from: 1, to: 9, limit: 3 });
    expect(seen.body.items).toHaveLength(3);
    expect(seen.body).toMatchObject({ meta: { truncated: true } });
    expect((await get(server, '/v1/stores/by-number/entries?prefix=5')).status).toBe(200);
    expect(asked.at(-1)).toMatchObject({ prefix: 5, limit: 100 });
  });

  test('one partition may be asked for, and only one that exists', async () => {
    const server = await serve();
    expect(((await get(server, '/v1/stores/counts/entries?partition=1')).body.items as Row[]).map((row) => row.key)).toEqual(['b/c d']);
    expect(await get(server, '/v1/stores/counts/entries?partition=2')).toMatchObject(problem(404, 'partition-out-of-range'));
  });

  test('a partition that cannot be read makes the answer partial; if none can, the request fails', async () => {
    const restoring: Refusal = { kind: 'restoring', partition: 1, progress: 0.814 };
    const server = await serve({ readRange: (_name, partition) => (partition === 1 ? restoring : rows([{ key: 'a', value: 1 }])) });
    const seen = await get(server, '/v1/stores/counts/entries?timeout=1ms');
    expect(seen.body).toMatchObject({
      items: [{ key: 'a' }],
      meta: { partial: true, partitions: [{ partition: 0 }, { partition: 1, error: 'store-restoring' }] },
    });
    const none = await serve({ readRange: () => restoring });
    const refused = await get(none, '/v1/stores/counts/entries?timeout=1ms');
    expect(refused).toMatchObject(problem(503, 'store-restoring'));
    expect(refused.body).toMatchObject({ partition: 1, restoreProgress: 0.814, retriable: true, detail: 'counts[1] is 81% restored.' });
  });

  test('a list larger than 8 MiB is cut and says so', async () => {
    const value = 'x'.repeat(1024 * 1024);
    const server = await serve({
      readRange: (_name, partition) => rows(partition === 0 ? Array.from({ length: 10 }, (_, key) => ({ key: String(key), value })) : []),
    });
    const seen = await get(server, '/v1/stores/counts/entries');
    expect(seen.body.items).toHaveLength(7);
    expect(seen.body).toMatchObject({ meta: { truncated: true } });
  });
});

test('a partition is read only as far as those before it have left room in the list; the bound is said to whoever reads', async () => {
  const asked: number[] = [];
  const value = 'x'.repeat(1024 * 1024);
  const server = await serve({
    readRange(_name, partition, { bytesMax }) {
      asked.push(bytesMax);
      return rows(Array.from({ length: partition === 0 ? 3 : 1 }, (_, at) => ({ key: `${partition}-${at}`, value })));
    },
  });
  const seen = await get(server, '/v1/stores/counts/entries');
  expect(seen.body.items).toHaveLength(4);
  expect(seen.body).toMatchObject({ meta: { truncated: false } });
  const [first, second] = asked as [number, number];
  expect([asked.length, first]).toEqual([2, 8 * 1024 * 1024]);
  expect(first - second).toBeGreaterThan(3 * value.length);
});

describe('windows', () => {
  test('both bounds are inclusive on the window start, dates are midnight UTC', async () => {
    const seen = await get(await serve(), '/v1/stores/state-delays/windows/CA?from=2001-01-02&to=2001-01-04');
    expect(seen.status).toBe(200);
    expect(seen.body.items).toEqual(WINDOWS.slice(1, 4));
    expect(seen.body.meta).toEqual({ store: 'state-delays', partial: false, truncated: false, partitions: [meta] });
  });

  test('sessions are read the same way, under their own path', async () => {
    const server = await serve();
    const seen = await get(server, '/v1/stores/visits/sessions/CA?from=2001-01-02&to=2001-01-04');
    expect(seen.body.items).toEqual(WINDOWS.slice(1, 4));
    expect(await get(server, '/v1/stores/visits/sessions/XX')).toMatchObject(problem(404, 'key-not-found'));
    expect(await get(server, '/v1/stores/visits/windows/CA')).toMatchObject(problem(400, 'query-unsupported'));
    expect(await get(server, '/v1/stores/state-delays/sessions/CA')).toMatchObject(problem(400, 'query-unsupported'));
  });

  test('ms and times with a zone are understood, plus signs included', async () => {
    const server = await serve();
    const starts = async (query: string): Promise<unknown> =>
      ((await get(server, `/v1/stores/state-delays/windows/CA?${query}`)).body.items as Row[]).map((row) => row.window?.start);
    expect(await starts(`from=${from}&to=${from}`)).toEqual([from]);
    expect(await starts('from=2001-01-01T02:00:00+02:00&to=2001-01-01T00:00Z')).toEqual([from]);
    expect(await starts('to=2001-01-01T23:59:59.999')).toEqual([from]);
    expect(await starts('limit=2')).toHaveLength(2);
  });

  test('a known key without a window in the range is an empty list; an unknown key is 404', async () => {
    const server = await serve();
    expect((await get(server, '/v1/stores/state-delays/windows/CA?from=1999-01-01&to=1999-12-31')).body).toMatchObject({ items: [] });
    expect(await get(server, '/v1/stores/state-delays/windows/XX?from=2001-01-01')).toMatchObject(problem(404, 'key-not-found'));
  });

  test.each([
    'from=yesterday',
    'from=2001-02-30',
    'from=2001-1-1',
    'from=2001-01-02&to=2001-01-01',
    'from=',
    'limit=0',
    'limit=10001',
    'limit=ten',
    'form=2001-01-01',
    'from=1&from=2',
    'timeout=soon',
    'timeout=2h',
    'keyFormat=xml',
    'from=99999999999999999',
  ])('the parameters %s are refused with the name of the bad one', async (query) => {
    const seen = await get(await serve(), `/v1/stores/state-delays/windows/CA?${query}`);
    expect(seen).toMatchObject(problem(400, 'invalid-parameter'));
    expect(String(seen.body.detail)).toContain(`"${query.split('=')[0]}"`);
  });
});

describe('stores', () => {
  test('are listed and described without their serdes’ inner parts', async () => {
    const server = await serve();
    const counts = { name: 'counts', kind: 'keyValue', key: 'string', value: 'json', partitions: 2, queryable: true };
    expect((await get(server, '/v1/stores')).body).toMatchObject({ items: expect.arrayContaining([counts]) });
    expect((await get(server, '/v1/stores/counts')).body).toEqual(counts);
  });

  test('unknown, closed and of the wrong shape are three answers', async () => {
    const server = await serve();
    expect(await get(server, '/v1/stores/nothing')).toMatchObject(problem(404, 'store-not-found'));
    expect(await get(server, '/v1/stores/nothing/entries/a')).toMatchObject(problem(404, 'store-not-found'));
    expect(await get(server, '/v1/stores/secret/entries/a')).toMatchObject(problem(403, 'forbidden'));
    expect(await get(server, '/v1/stores/counts/windows/a')).toMatchObject(problem(400, 'query-unsupported'));
    expect(await get(server, '/v1/stores/state-delays/entries/CA')).toMatchObject(problem(400, 'query-unsupported'));
  });
});

describe('refusals', () => {
  test('a passing refusal is outlasted within the timeout', async () => {
    let asked = 0;
    const server = await serve({ locate: () => (++asked < 3 ? { kind: 'rebalancing' } : { kind: 'local', partition: 0 }) });
    expect((await get(server, '/v1/stores/counts/entries/a')).status).toBe(200);
    expect(asked).toBe(3);
  });

  test.each<[Refusal, number, string]>([
    [{ kind: 'rebalancing' }, 503, 'rebalancing'],
    [{ kind: 'noActiveOwner', partition: 1 }, 503, 'no-active-owner'],
    [{ kind: 'restoring', partition: 1 }, 503, 'store-restoring'],
    [{ kind: 'notOwner', partition: 1 }, 421, 'not-owner'],
    [{ kind: 'unsupported', detail: 'no' }, 400, 'query-unsupported'],
  ])('%j becomes its problem when the time is up', async (refusal, status, code) => {
    const seen = await get(await serve({ readKeyValue: () => refusal }), '/v1/stores/counts/entries/a?timeout=50ms');
    expect(seen).toMatchObject(problem(status, code));
    expect(seen.headers.get('retry-after')).toBe(status === 503 ? '2' : null);
  });

  test('a failing store says so without its inner parts', async () => {
    const server = await serve({
      readKeyValue: () => {
        throw new Error('/secret/path: ENOSPC');
      },
    });
    const seen = await get(server, '/v1/stores/counts/entries/a');
    expect(seen).toMatchObject(problem(500, 'store-error'));
    expect(JSON.stringify(seen.body)).not.toContain('secret');
  });
});

describe('several instances', () => {
  const remote = (server: QueryServer, partition: number): Location => ({
    kind: 'remote',
    partition,
    address: { host: server.host, port: server.port },
    instance: 'two',
  });

  test('a key of another instance is answered by it, one hop away', async () => {
    const owner = await serve({ readKeyValue: () => rows([{ key: 'a', value: 'from two' }]) });
    const asked = await serve({ locate: () => remote(owner, 1) });
    expect((await get(asked, '/v1/stores/counts/entries/a')).body).toMatchObject({ value: 'from two' });
    expect(await get(asked, '/v1/stores/counts/entries/a?routing=local')).toMatchObject(problem(421, 'not-owner'));
  });

  test('a problem of the owner comes through as it is', async () => {
    const owner = await serve();
    const asked = await serve({ locate: () => remote(owner, 1) });
    expect(await get(asked, '/v1/stores/counts/entries/nobody')).toMatchObject(problem(404, 'key-not-found'));
  });

  test('two instances that point at each other do not pass a request on for ever', async () => {
    let asks = 0;
    let second: QueryServer | undefined;
    const first = await serve({
      locate: () => {
        asks++;
        return remote(second as QueryServer, 0);
      },
    });
    second = await serve({ locate: () => remote(first, 0) });
    expect(await get(first, '/v1/stores/counts/entries/a?timeout=50ms')).toMatchObject(problem(421, 'not-owner'));
    expect(asks).toBeLessThan(4);
  });

  test('an owner that is gone is looked for again until the time is up', async () => {
    const gone = await serve();
    await gone.close();
    let asked = 0;
    const back = await serve({ locate: () => (++asked === 1 ? remote(gone, 1) : { kind: 'local', partition: 1 }) });
    expect((await get(back, '/v1/stores/counts/entries/a')).status).toBe(200);
    const never = await serve({ locate: () => remote(gone, 1) });
    expect(await get(never, '/v1/stores/counts/entries/a?timeout=150ms')).toMatchObject(problem(502, 'upstream-unreachable'));
  });

  test('an owner that does not answer in time is a 504', async () => {
    const mute = net.createServer((socket) => void socket.resume());
    await new Promise<void>((resolve) => void mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as net.AddressInfo;
    const asked = await serve({ locate: () => ({ kind: 'remote', partition: 1, address: { host: '127.0.0.1', port }, instance: 'mute' }) });
    expect(await get(asked, '/v1/stores/counts/entries/a?timeout=100ms')).toMatchObject(problem(504, 'upstream-timeout'));
    await new Promise((resolve) => void mute.close(resolve));
  });

  test.each(['169.254.169.254', '10.0.0.1', 'example.com', '0x7f000001'])('a server on loopback passes nothing on to %s', async (host) => {
    const asked = await serve({ locate: () => ({ kind: 'remote', partition: 1, address: { host, port: 80 }, instance: 'rogue' }) });
    expect(await get(asked, '/v1/stores/counts/entries/a?timeout=1ms')).toMatchObject(problem(502, 'upstream-unreachable'));
  });

  test('a range gathers the partitions of every instance, and names those that failed', async () => {
    const other = await serve({
      partitions: () => [
        { kind: 'nowhere', partition: 0, refusal: { kind: 'notOwner', partition: 0 } },
        { kind: 'local', partition: 1 },
      ],
    });
    const asked = await serve({ partitions: () => [{ kind: 'local', partition: 0 }, remote(other, 1)] });
    const seen = await get(asked, '/v1/stores/counts/entries');
    expect((seen.body.items as Row[]).map((row) => row.key)).toEqual(['a', 'c', 'b/c d']);
    expect(seen.body).toMatchObject({ meta: { partial: false } });
    await other.close();
    expect((await get(asked, '/v1/stores/counts/entries')).body).toMatchObject({
      meta: { partial: true, partitions: [{ partition: 0 }, { partition: 1, error: 'upstream-unreachable' }] },
    });
  });
});

describe('operations', () => {
  test('probes tell alive from ready', async () => {
    const server = await serve({ health: () => ({ alive: true, ready: false, state: 'restoring' }) });
    expect(await get(server, '/livez')).toMatchObject({ status: 200, body: { text: 'restoring\n' } });
    expect((await get(server, '/readyz')).status).toBe(503);
  });

  test('what the host offers is shown, what it does not is said', async () => {
    const server = await serve({
      app: () => ({ applicationId: 'flights', state: 'RUNNING' }),
      topology: () => ({ text: 'Topologies:\n', data: { subtopologies: [] } }),
      metrics: () => [
        { name: 'records-total', labels: { task: '0_1' }, value: 3 },
        { name: 'up', labels: {}, value: 1 },
        { name: 'records-total', labels: { task: 'a"b\\c\nd' }, value: Number.NaN },
      ],
    });
    expect((await get(server, '/v1/app')).body).toEqual({ applicationId: 'flights', state: 'RUNNING' });
    expect((await get(server, '/v1/topology')).body).toEqual({ subtopologies: [] });
    expect((await get(server, '/v1/topology?format=text')).body).toEqual({ text: 'Topologies:\n' });
    expect((await get(server, '/metrics')).body.text).toBe(
      '# TYPE records_total untyped\nrecords_total{task="0_1"} 3\nrecords_total{task="a\\"b\\\\c\\nd"} NaN\n# TYPE up untyped\nup 1\n',
    );
    expect(await get(server, '/v1/tasks')).toMatchObject(problem(503, 'not-available'));
  });
});

describe('guards', () => {
  test('unknown routes, other methods, bodies and bad escapes are refused', async () => {
    const server = await serve();
    expect(await get(server, '/v2/stores')).toMatchObject(problem(404, 'route-not-found'));
    expect(await get(server, '/v1/stores/counts/entries/a', { method: 'DELETE' })).toMatchObject(problem(405, 'method-not-allowed'));
    expect((await get(server, '/v1/stores/counts/entries/a', { method: 'POST', body: 'x' })).headers.get('allow')).toBe('GET, HEAD');
    expect(await get(server, '/v1/stores/counts/entries/%ZZ')).toMatchObject(problem(400, 'invalid-parameter'));
    expect(await get(server, `/v1/stores/counts/entries/${'k'.repeat(9000)}`)).toMatchObject(problem(414, 'url-too-long'));
  });

  test('a page of another site cannot read through a name that resolves to loopback', async () => {
    const server = await serve();
    const status = await new Promise<number | undefined>((resolve, reject) => {
      http
        .get({ host: server.host, port: server.port, path: '/v1/stores', headers: { host: 'evil.example' } }, (reply) => resolve(reply.resume().statusCode))
        .on('error', reject);
    });
    expect(status).toBe(403);
    expect((await get(server, '/v1/stores', { headers: {} })).status).toBe(200);
  });

  test('headers beyond 16 KiB are refused before any route runs', async () => {
    expect((await fetch(`${(await serve()).url}/v1/stores`, { headers: { x: 'y'.repeat(20_000) } })).status).toBe(431);
  });

  test('more than 256 requests in hand are told to come back', async () => {
    let release: (answer: Answer) => void = () => {};
    const held = new Promise<Answer>((resolve) => {
      release = resolve;
    });
    let waiting = 0;
    let full: () => void = () => {};
    const allIn = new Promise<void>((resolve) => {
      full = resolve;
    });
    const server = await serve({
      readKeyValue() {
        if (++waiting === 256) full();
        return held;
      },
    });
    const asked = Array.from({ length: 256 }, () => get(server, '/v1/stores/counts/entries/a'));
    await allIn;
    expect(await get(server, '/v1/stores')).toMatchObject(problem(503, 'overloaded'));
    expect((await get(server, '/livez')).status).toBe(200);
    release(rows(COUNTS));
    expect(new Set((await Promise.all(asked)).map((seen) => seen.status))).toEqual(new Set([200]));
  });

  test('an address beyond this machine needs more than an address', async () => {
    await expect(serve({}, { host: '0.0.0.0' })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining('127.0.0.1') }),
    );
    const exposed = await serve({}, { host: '0.0.0.0', exposeUnsafely: true });
    expect((await fetch(`http://127.0.0.1:${exposed.port}/v1/stores`)).status).toBe(200);
  });

  test('a port in use is refused, or the next one is taken when that is wanted', async () => {
    const first = await serve();
    const refused = await serve({}, { port: first.port }).catch((error: unknown) => error);
    expect(MillraceError.is(refused) && refused.code).toBe('ERR_PORT_IN_USE');
    expect(String(refused)).toContain(String(first.port));
    const second = await serve({}, { port: first.port, portFallback: true });
    expect(second.port).not.toBe(first.port);
    expect((await get(second, '/v1/stores')).status).toBe(200);
  });

  test('closing lets a request in hand finish and then frees the port', async () => {
    let release: (answer: Answer) => void = () => {};
    let entered: () => void = () => {};
    const inside = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const server = await serve({
      readKeyValue() {
        entered();
        return new Promise((resolve) => {
          release = resolve;
        });
      },
    });
    const asked = get(server, '/v1/stores/counts/entries/a');
    await inside;
    const closed = server.close();
    release(rows(COUNTS));
    expect((await asked).status).toBe(200);
    await closed;
    await expect(fetch(`${server.url}/v1/stores`)).rejects.toThrow();
  });
});

describe('callers that do not read', () => {
  const large = { readKeyValue: (): Answer => rows([{ key: 'a', value: 'x'.repeat(8 * 1024 * 1024) }]) };
  const ask = (server: QueryServer): net.Socket => {
    const socket = net.connect(server.port, server.host);
    socket.on('error', () => {});
    socket.pause();
    socket.write('GET /v1/stores/counts/entries/a HTTP/1.1\r\nhost: localhost\r\n\r\n');
    return socket;
  };

  test('a reply that is not taken in time is given up: its bytes are not kept for ever', async () => {
    const hurried: Timers = { ...systemTimers, after: (ms, run) => systemTimers.after(ms / 200, run) };
    const server = await serve(large, {}, hurried);
    const socket = ask(server);
    await new Promise<void>((resolve) => setTimeout(resolve, 1000));
    let received = 0;
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk) => (received += chunk.length));
      socket.on('close', () => resolve());
      socket.resume();
    });
    expect(received).toBeLessThan(8 * 1024 * 1024);
  });

  test('while many bytes wait for their callers, new requests are told to come back', async () => {
    const server = await serve(large);
    const sockets = Array.from({ length: 9 }, () => ask(server));
    try {
      let seen = await get(server, '/v1/stores');
      for (let tries = 0; seen.status === 200 && tries < 50; tries++) {
        await new Promise<void>((resolve) => setTimeout(resolve, 100));
        seen = await get(server, '/v1/stores');
      }
      expect(seen).toMatchObject(problem(503, 'overloaded'));
      const load = server.load();
      expect(load.unsentBytes).toBeGreaterThan(load.unsentBytesMax);
      expect((await get(server, '/livez')).status).toBe(200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});
