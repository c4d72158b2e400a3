// Reads of window and session stores: the windows of one key whose start lies between two instants, both included.
import { type Exchange, json } from '../exchange.ts';
import { KEY_FORMATS, parseKey } from '../key-text.ts';
import type { HttpReply } from '../node-http.ts';
import { Problem } from '../problem.ts';
import { LIST_BYTES_MAX, listText, rowText, withinBytes } from '../row-json.ts';
import { askOwner } from './owner.ts';

/** Beyond every instant a Date holds. */
const EARLIEST_MS = -8.64e15;
const LATEST_MS = 8.64e15;

export const readWindows = (exchange: Exchange): Promise<HttpReply> => readByStart(exchange, 'window');
export const readSessions = (exchange: Exchange): Promise<HttpReply> => readByStart(exchange, 'session');

export const readVersions = (exchange: Exchange): Promise<HttpReply> => readByStart(exchange, 'versioned');

async function readByStart(exchange: Exchange, kind: 'window' | 'session' | 'versioned'): Promise<HttpReply> {
  const parameters = exchange.parameters(['from', 'to', 'limit', 'keyFormat', 'routing', 'timeout']);
  const store = exchange.storeOf(
    kind,
    'GET /v1/stores shows the kind of each store; entries/{key}, windows/{key}, sessions/{key} and versions/{key} read them.',
  );
  const key = parseKey(store.keySerde, exchange.segments[1] as string, parameters.choice('keyFormat', KEY_FORMATS));
  const fromMs = parameters.instant('from') ?? EARLIEST_MS;
  const toMs = parameters.instant('to') ?? LATEST_MS;
  if (fromMs > toMs) throw new Problem('invalid-parameter', 'Parameter "from" is later than "to".', { parameter: 'from' });
  const limit = parameters.limit();
  const found = await askOwner(exchange, store.name, key, parameters.choice('routing', ['proxy', 'local']), async () => {
    const answer = await exchange.host.readWindows(store.name, key, { fromMs, toMs, limit, bytesMax: LIST_BYTES_MAX });
    if (answer.kind !== 'rows' || answer.rows.length > 0 || answer.truncated) return answer;
    // No window in the range: is the key known at all? An empty list and an unknown key are two answers.
    const any = await exchange.host.readWindows(store.name, key, { fromMs: EARLIEST_MS, toMs: LATEST_MS, limit: 1, bytesMax: LIST_BYTES_MAX });
    if (any.kind === 'rows' && any.rows.length === 0)
      throw new Problem('key-not-found', `"${store.name}" holds no ${kind === 'versioned' ? 'version' : kind} of this key.`, {
        partition: answer.meta.partition,
      });
    return answer;
  });
  if (found.kind === 'reply') return found.reply;
  const cut = withinBytes(found.rows.map(rowText));
  return json(listText(cut.rows, { store: store.name, partial: false, truncated: found.truncated || cut.truncated, partitions: [found.meta] }));
}
