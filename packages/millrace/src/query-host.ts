// The query server's view of a running app: its stores, who has which partition, committed rows.
// Never: answers for a partition that is not running here; that is a refusal, and the server asks the owner.
import type { Topology } from '@millrace/dsl';
import type { AnswerMeta, Location, PeerAddress, QueryHost, Refusal, Row, Answer as StoreAnswer, StoreSummary } from '@millrace/query';
import type { Located, ReadRequest, ReadRow, RunningApp, StoreFacts } from '@millrace/runtime';

type StoreSpec = StoreFacts['spec'];

interface RowBounds {
  readonly limit: number;
  readonly bytesMax: number;
}
const ONE_ROW: RowBounds = { limit: 1, bytesMax: Number.POSITIVE_INFINITY };

const WHERE_TO_ASK: Readonly<Record<StoreSpec['kind'], string>> = {
  keyValue: 'this is a key-value store; ask /entries/{key}',
  window: 'this is a window store; ask /windows/{key}',
  session: 'this is a session store; ask /sessions/{key}',
  versioned: 'this is a versioned store; ask /entries/{key}?asOf= or /versions/{key}',
};

export function queryHostOf(app: RunningApp, topology: Topology): QueryHost {
  const { reads } = app;
  const spec = (store: string): StoreSpec | undefined => reads.stores().get(store)?.spec;
  const locationOf = (located: Located): Location => {
    switch (located.kind) {
      case 'here':
        return { kind: 'local', partition: located.partition };
      case 'there':
        return { kind: 'remote', partition: located.partition, address: peerOf(located.address), instance: located.instanceId };
      case 'restoring':
        return { kind: 'nowhere', partition: located.partition, refusal: { kind: 'restoring', partition: located.partition } };
      case 'nobody':
        return {
          kind: 'nowhere',
          partition: located.partition,
          refusal: app.state === 'running' ? { kind: 'noActiveOwner', partition: located.partition } : { kind: 'rebalancing' },
        };
    }
  };
  const ask = async (store: string, partition: number, query: ReadRequest['query'], { limit, bytesMax }: RowBounds): Promise<StoreAnswer | Refusal> => {
    const located = reads.locatePartition(store, partition);
    if (located.kind !== 'here') {
      const place = locationOf(located);
      return place.kind === 'nowhere' ? place.refusal : { kind: 'notOwner', partition };
    }
    try {
      const rows = await reads.read(located.taskId, store, query);
      let bytes = 0;
      const fitting = rows.slice(0, limit).filter((row) => (bytes += row.bytes ?? 0) <= bytesMax);
      return { kind: 'rows', rows: fitting.map(rowOf), truncated: rows.length > fitting.length, meta: metaOf(reads.instanceId, partition) };
    } catch (cause) {
      return { kind: 'storeError', cause };
    }
  };
  const known = (store: string, ...kinds: readonly StoreSpec['kind'][]): Refusal | undefined => {
    const found = spec(store);
    if (found === undefined) return { kind: 'storeNotFound' };
    return kinds.includes(found.kind) ? undefined : { kind: 'unsupported', detail: WHERE_TO_ASK[found.kind] };
  };
  return {
    stores: () => [...reads.stores().values()].map((facts) => summaryOf(facts.spec, facts.partitions)),
    locate: (store, key) => (spec(store) === undefined ? { kind: 'storeNotFound' } : locationOf(reads.locatePartition(store, reads.partitionOf(store, key)))),
    partitions(store) {
      const facts = reads.stores().get(store);
      if (facts === undefined) return { kind: 'storeNotFound' };
      return Array.from({ length: facts.partitions }, (_, partition) => locationOf(reads.locatePartition(store, partition)));
    },
    readKeyValue: async (store, key, asOfMs) =>
      known(store, 'keyValue', 'versioned') ?? (await ask(store, reads.partitionOf(store, key), { kind: 'entry', key, asOfMs }, ONE_ROW)),
    readWindows: async (store, key, range) =>
      known(store, 'window', 'session', 'versioned') ??
      (await ask(
        store,
        reads.partitionOf(store, key),
        { kind: 'windows', key, fromMs: range.fromMs, toMs: range.toMs, reverse: false, limit: range.limit + 1, bytesMax: range.bytesMax },
        range,
      )),
    readRange: async (store, partition, range) =>
      known(store, 'keyValue') ??
      (await ask(
        store,
        partition,
        { kind: 'range', from: range.from, to: range.to, prefix: range.prefix, reverse: false, limit: range.limit + 1, bytesMax: range.bytesMax },
        range,
      )),
    health: () => ({ alive: app.state !== 'failed', ready: app.state === 'running', state: app.state }),
    app: () => ({ id: app.id, instanceId: app.instanceId, state: app.state, topology: topology.name }),
    tasks: () => app.tasks(),
    topology: () => ({ text: topology.describe(), data: topology.toJSON() }),
    metrics: () => app.metrics.snapshot(),
  };
}

function summaryOf(spec: StoreSpec, partitions: number): StoreSummary {
  const shared = { name: spec.name, kind: spec.kind, keySerde: spec.key, valueFormat: spec.value.format, partitions, queryable: spec.queryable };
  if (spec.kind === 'session') return { ...shared, retentionMs: spec.retentionMs };
  return spec.kind === 'window' ? { ...shared, retentionMs: spec.retentionMs, windowSizeMs: spec.windowSizeMs } : shared;
}

function metaOf(instance: string, partition: number): AnswerMeta {
  return { partition, source: 'active', instance, lag: 0 };
}

function rowOf(row: ReadRow): Row {
  return { key: row.key, value: row.value, timestamp: row.timestamp, ...(row.window === undefined ? {} : { window: row.window }) };
}

/** `host:port`, IPv6 hosts in brackets. */
function peerOf(address: string): PeerAddress {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
