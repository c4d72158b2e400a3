// Reads of key-value stores: one key, or a range over the partitions of all instances.
import { type Exchange, json } from '../exchange.ts';
import type { Answer, KeyRange, Location, Refusal, StoreSummary } from '../host.ts';
import { KEY_FORMATS, parseKey } from '../key-text.ts';
import { type HttpReply, PeerFailure } from '../node-http.ts';
import type { Parameters } from '../parameters.ts';
import { askPeer } from '../peer.ts';
import { Problem, problemOf } from '../problem.ts';
import { LIST_BYTES_MAX, listText, type PartitionNote, pointText, rowText, withinBytes } from '../row-json.ts';
import { askOwner } from './owner.ts';

const WINDOWS_HINT = 'ask GET /v1/stores/{store}/windows/{key} instead.';

export async function readEntry(exchange: Exchange): Promise<HttpReply> {
  const parameters = exchange.parameters(['asOf', 'keyFormat', 'routing', 'timeout']);
  const store = exchange.storeOf(['keyValue', 'versioned'], WINDOWS_HINT);
  const asOfMs = parameters.instant('asOf');
  if (asOfMs !== undefined && store.kind !== 'versioned')
    throw new Problem('query-unsupported', `"${store.name}" keeps only the newest value of a key; a versioned store can be asked as of a time.`);
  const key = parseKey(store.keySerde, exchange.segments[1] as string, parameters.choice('keyFormat', KEY_FORMATS));
  const found = await askOwner(exchange, store.name, key, parameters.choice('routing', ['proxy', 'local']), () =>
    exchange.host.readKeyValue(store.name, key, asOfMs),
  );
  if (found.kind === 'reply') return found.reply;
  const [row] = found.rows;
  if (row === undefined) throw new Problem('key-not-found', `"${store.name}" holds no such key.`, { partition: found.meta.partition });
  return json(pointText(row, store.name, found.meta));
}

export async function readEntries(exchange: Exchange): Promise<HttpReply> {
  const parameters = exchange.parameters(['from', 'to', 'prefix', 'limit', 'keyFormat', 'partition', 'routing', 'timeout']);
  const store = exchange.storeOf('keyValue', WINDOWS_HINT);
  const range = keyRange(parameters, store);
  const wanted = parameters.integer('partition', 0, Number.MAX_SAFE_INTEGER);
  if (wanted !== undefined && wanted >= store.partitions)
    throw new Problem('partition-out-of-range', `"${store.name}" has partitions 0 to ${store.partitions - 1}.`, { partition: wanted });
  const localOnly = exchange.hopped || parameters.choice('routing', ['proxy', 'local']) === 'local';
  const { locations } = await exchange.answer(store.name, async () => {
    const found = exchange.host.partitions(store.name);
    return 'kind' in found ? found : { kind: 'locations' as const, locations: found };
  });
  const chosen = locations.filter(
    (location) => (wanted === undefined || location.partition === wanted) && (!localOnly || wanted !== undefined || location.kind === 'local'),
  );
  const parts: Part[] = [];
  const room = new Room();
  for (let at = 0; at < chosen.length; at += PARTITIONS_AT_ONCE) {
    parts.push(
      ...(await Promise.all(chosen.slice(at, at + PARTITIONS_AT_ONCE).map((location) => readPart(exchange, store, range, location, localOnly, room)))),
    );
  }
  return merge(store, range.limit, parts);
}

/** Partitions that one scan reads at the same time. */
const PARTITIONS_AT_ONCE = 4;

/**
 * What is left of the list's bytes. Partitions wait for their owners side by side, but read one after another: each reads no more than those before
 * it have left, so that a list never holds much more than its bound in memory.
 */
class Room {
  #left = LIST_BYTES_MAX;
  #turn: Promise<unknown> = Promise.resolve();

  read(ask: (bytesMax: number) => Answer | Refusal | Promise<Answer | Refusal>): Promise<TextAnswer | Refusal> {
    const answer = this.#turn.then(async (): Promise<TextAnswer | Refusal> => {
      const found = await ask(this.#left);
      if (found.kind !== 'rows') return found;
      const { texts, truncated } = this.take(found.rows.map(rowText));
      return { kind: 'rows', texts, truncated: found.truncated || truncated, note: found.meta };
    });
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** Those of `texts` that still fit. */
  take(texts: readonly string[]): { readonly texts: readonly string[]; readonly truncated: boolean } {
    const { rows, bytes, truncated } = withinBytes(texts, this.#left);
    this.#left = truncated ? 0 : this.#left - bytes;
    return { texts: rows, truncated };
  }
}

interface TextAnswer {
  readonly kind: 'rows';
  readonly texts: readonly string[];
  readonly truncated: boolean;
  readonly note: PartitionNote;
}

function keyRange(parameters: Parameters, store: StoreSummary): Omit<KeyRange, 'bytesMax'> {
  const format = parameters.choice('keyFormat', KEY_FORMATS);
  const read = (name: string): object => {
    const text = parameters.text(name);
    return text === undefined ? {} : { [name]: parseKey(store.keySerde, text, format) };
  };
  if (parameters.text('prefix') !== undefined && (parameters.text('from') ?? parameters.text('to')) !== undefined) {
    throw new Problem('invalid-parameter', 'Give either "prefix", or "from" and "to".', { parameter: 'prefix' });
  }
  return { limit: parameters.limit(), ...read('from'), ...read('to'), ...read('prefix') };
}

/** What one partition contributed: rows as JSON texts. */
type Part =
  | { readonly kind: 'read'; readonly rows: readonly string[]; readonly truncated: boolean; readonly note: PartitionNote }
  | { readonly kind: 'failed'; readonly note: PartitionNote; readonly problem: Problem };

async function readPart(
  exchange: Exchange,
  store: StoreSummary,
  range: Omit<KeyRange, 'bytesMax'>,
  location: Location,
  localOnly: boolean,
  room: Room,
): Promise<Part> {
  const { partition } = location;
  try {
    if (location.kind === 'nowhere') throw problemOf(location.refusal, store.name);
    if (location.kind === 'remote') {
      if (localOnly) throw problemOf({ kind: 'notOwner', partition }, store.name);
      return await readPeer(exchange, location, room);
    }
    const answer = await exchange.answer(store.name, () => room.read((bytesMax) => exchange.host.readRange(store.name, partition, { ...range, bytesMax })));
    return { kind: 'read', rows: answer.texts, truncated: answer.truncated, note: answer.note };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { kind: 'failed', note: { partition, error: error.code }, problem: error };
  }
}

async function readPeer(exchange: Exchange, location: Location & { readonly kind: 'remote' }, room: Room): Promise<Part> {
  const { partition, instance } = location;
  const target = new URL(exchange.request.target, 'http://peer');
  target.searchParams.set('partition', String(partition));
  try {
    const reply = await askPeer(exchange.peers, location.address, target.pathname + target.search, exchange.remainingMs(), exchange.request.signal);
    const list = reply.status === 200 ? readList(reply.body) : undefined;
    if (list !== undefined) {
      const { texts, truncated } = room.take(list.items.map((item) => JSON.stringify(item)));
      return {
        kind: 'read',
        rows: texts,
        truncated: truncated || list.meta.truncated === true,
        note: { partition, instance, ...list.meta.partitions?.[0] },
      };
    }
  } catch (error) {
    if (!(error instanceof PeerFailure)) throw error;
    if (error.timedOut) throw new Problem('upstream-timeout', `${instance} did not answer in time.`, { partition });
  }
  throw new Problem('upstream-unreachable', `${instance} gave no usable answer.`, { partition });
}

interface PeerList {
  readonly items: readonly unknown[];
  readonly meta: { readonly truncated?: boolean; readonly partitions?: readonly PartitionNote[] };
}

/** Another instance's list, as far as it has the shape of one. */
function readList(body: string | Uint8Array): PeerList | undefined {
  try {
    const list = JSON.parse(Buffer.from(body as Uint8Array).toString('utf8')) as PeerList;
    return Array.isArray(list.items) && typeof list.meta === 'object' && list.meta !== null ? list : undefined;
  } catch {
    return undefined;
  }
}

/** All rows in order of partition, within the bounds; a scan of which no partition could be read fails with the first reason. */
function merge(store: StoreSummary, limit: number, parts: readonly Part[]): HttpReply {
  const problem = parts.find((part) => part.kind === 'failed')?.problem;
  if (problem !== undefined && parts.every((part) => part.kind === 'failed')) throw problem;
  const all = parts.flatMap((part) => (part.kind === 'read' ? part.rows : []));
  const cut = withinBytes(all.slice(0, limit));
  const truncated = cut.truncated || all.length > limit || parts.some((part) => part.kind === 'read' && part.truncated);
  return json(listText(cut.rows, { store: store.name, partial: problem !== undefined, truncated, partitions: parts.map((part) => part.note) }));
}
