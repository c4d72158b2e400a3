// Somebody who reads while others write and the power fails: what it was shown must be there ever after. Only tests import it.
// Owns: the book of what was shown, its own positions, which it keeps over power losses.  Never: looks at the disk.
import { APIS, RecordReader, readBatches } from '@millrace/protocol';
import { GROUP, type PowerHistory, TABLE } from './power-history.ts';
import { type Ask, LOST } from './power-world.ts';

const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
type Isolation = typeof READ_UNCOMMITTED | typeof READ_COMMITTED;

export interface ShownRecord {
  readonly key: string | undefined;
  readonly value: string;
  readonly offset: number;
}

/** The part of a Fetch answer that says what is in a partition. */
interface FetchedPart {
  readonly records: Buffer | null;
  readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[] | null;
}

/** The records that a consumer would take from it, and where it would go on; no offset: nothing was there. */
export function recordsIn({ records, abortedTransactions }: FetchedPart): { readonly shown: ShownRecord[]; readonly nextOffset: number | undefined } {
  const reader = new RecordReader();
  const shown: ShownRecord[] = [];
  const waiting = [...(abortedTransactions ?? [])];
  const aborted = new Set<number>();
  let nextOffset: number | undefined;
  for (const batch of readBatches(records ?? Buffer.alloc(0), 0, records?.length ?? 0, { checkCrc: true })) {
    while ((waiting[0]?.firstOffset ?? Number.POSITIVE_INFINITY) <= batch.lastOffset) aborted.add((waiting.shift() as (typeof waiting)[number]).producerId);
    if (batch.control) aborted.delete(batch.producerId);
    nextOffset = batch.lastOffset + 1;
    if (batch.control || (batch.transactional && aborted.has(batch.producerId))) continue;
    reader.reset(batch);
    while (reader.next()) {
      const text = (start: number, length: number): string => reader.buffer.toString('utf8', start, start + length);
      const key = reader.keyLength < 0 ? undefined : text(reader.keyStart, reader.keyLength);
      shown.push({ key, value: text(reader.valueStart, reader.valueLength), offset: reader.offset });
    }
  }
  return { shown, nextOffset };
}

export class PowerReader {
  /** By isolation level: value → `topic-partition@offset`. The compacted topic is left out: records go from there. */
  readonly seen: readonly [uncommitted: Map<string, string>, committed: Map<string, string>] = [new Map(), new Map()];
  /** Newest offset of the group that was told, by topic. */
  readonly offsets = new Map<string, number>();
  readonly findings: string[] = [];
  readonly #history: PowerHistory;
  readonly #positions: readonly [Map<string, number>, Map<string, number>] = [new Map(), new Map()];

  constructor(history: PowerHistory) {
    this.#history = history;
  }

  /** Until the power fails. */
  async watch(ask: Ask): Promise<void> {
    for (;;)
      for (const isolation of [READ_UNCOMMITTED, READ_COMMITTED] as const) if (!(await this.#fetch(ask, isolation)) || !(await this.#askOffsets(ask))) return;
  }

  #topics(): [topic: string, partitions: number][] {
    return [...this.#history.live].filter(([topic]) => topic !== TABLE);
  }

  /** False: the power is off. */
  async #fetch(ask: Ask, isolation: Isolation): Promise<boolean> {
    const positions = this.#positions[isolation];
    const topics = this.#topics().map(([topic, count]) => ({
      topic,
      partitions: Array.from({ length: count }, (_, partition) => ({
        partition,
        fetchOffset: positions.get(`${topic}-${partition}`) ?? 0,
        partitionMaxBytes: 1_000_000,
      })),
    }));
    const answer = await ask(APIS.fetch, 12, { maxWaitMs: 5, minBytes: 1, maxBytes: 1_000_000, isolationLevel: isolation, topics });
    if (answer === LOST) return false;
    for (const { topic, partitions } of answer.responses)
      for (const part of partitions) {
        const place = `${topic}-${part.partitionIndex}`;
        if (part.errorCode === 1 && !(await this.#goToStart(ask, topic, part.partitionIndex, positions))) return false;
        const { shown, nextOffset } = recordsIn(part);
        for (const { value, offset } of shown) this.seen[isolation].set(value, `${place}@${offset}`);
        if (nextOffset !== undefined) positions.set(place, nextOffset);
      }
    return true;
  }

  /** Records below the log start were deleted; past the log end nobody was ever shown one. */
  async #goToStart(ask: Ask, topic: string, partition: number, positions: Map<string, number>): Promise<boolean> {
    const place = `${topic}-${partition}`;
    const position = positions.get(place) ?? 0;
    const answer = await ask(APIS.listOffsets, 6, { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -2 }] }] });
    if (answer === LOST) return false;
    const start = answer.topics[0]?.partitions[0]?.offset ?? -1;
    if (start >= 0 && start <= position) this.findings.push(`${place} was read up to ${position}, and is out of range there`);
    positions.set(place, Math.max(0, start));
    return true;
  }

  async #askOffsets(ask: Ask): Promise<boolean> {
    const topics = this.#topics().map(([name]) => ({ name, partitionIndexes: [0] }));
    const answer = await ask(APIS.offsetFetch, 7, { groupId: GROUP, topics, requireStable: true });
    if (answer === LOST) return false;
    for (const { name, partitions } of answer.topics) {
      const found = partitions[0]?.committedOffset ?? -1;
      const before = this.offsets.get(name) ?? -1;
      if (found < before && this.#history.live.has(name)) this.findings.push(`the group was told to stand at ${before} of ${name}, then at ${found}`);
      this.offsets.set(name, found);
    }
    return true;
  }
}
