// The memory of large answers and requests is used again: nobody may ever see the bytes of another in it, however slowly they are taken.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { APIS, decodeResponse, encodeRequest, type RequestInput, readBatches } from '@millrace/protocol';
import { afterEach, expect, test } from 'vitest';
import { type Broker, startBroker } from '../broker.ts';
import { FrameReader } from '../server/frame-reader.ts';
import { clientBatch } from '../testing/log-fixture.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'millrace-lent-'));
let broker: Broker | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await broker?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A real socket: in memory every byte is copied when it is written, and nothing of this could go wrong. */
class Reader {
  readonly #frames = new FrameReader(200_000_000);
  readonly #waiting: ((frame: Buffer) => void)[] = [];
  readonly #socket: Socket;
  #correlationId = 0;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    sockets.push(this.#socket);
    this.#socket.on('data', (chunk) => {
      this.#frames.push(chunk);
      for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) this.#waiting.shift()?.(frame);
    });
  }
  /** Asks, and takes nothing of the answer until `read` is called. */
  fetchLater(topic: string, partitions: number): { read(): Promise<{ offsets: number[]; texts: Set<string> }[]> } {
    this.#socket.pause();
    const frame = new Promise<Buffer>((resolve) => this.#waiting.push(resolve));
    this.#socket.write(encodeRequest(APIS.fetch, 12, { correlationId: ++this.#correlationId, clientId: 'slow' }, fetchOf(topic, partitions)));
    return {
      read: async () => {
        this.#socket.resume();
        const [answer] = decodeResponse(APIS.fetch, 12, await frame).body.responses;
        return (answer?.partitions ?? []).map(({ records }) => {
          const bytes = records ?? Buffer.alloc(0);
          const views = readBatches(bytes, 0, bytes.length, { checkCrc: true });
          return { offsets: views.map((view) => view.baseOffset), texts: new Set(views.map((view) => letterIn(view.buffer.subarray(view.start, view.end)))) };
        });
      },
    };
  }
  create(topic: string, numPartitions: number): Promise<Buffer> {
    const frame = new Promise<Buffer>((resolve) => this.#waiting.push(resolve));
    const topics = [{ name: topic, numPartitions, replicationFactor: 1, assignments: [], configs: [] }];
    this.#socket.write(encodeRequest(APIS.createTopics, 5, { correlationId: ++this.#correlationId, clientId: 'w' }, { topics, timeoutMs: 1_000 }));
    return frame;
  }
  produce(topic: string, index: number, records: Buffer): Promise<Buffer> {
    const frame = new Promise<Buffer>((resolve) => this.#waiting.push(resolve));
    const topicData = [{ name: topic, partitionData: [{ index, records }] }];
    this.#socket.write(encodeRequest(APIS.produce, 9, { correlationId: ++this.#correlationId, clientId: 'w' }, { acks: -1, timeoutMs: 1_000, topicData }));
    return frame;
  }
}

const fetchOf = (topic: string, partitions: number): RequestInput<typeof APIS.fetch> => ({
  maxWaitMs: 1_000,
  minBytes: 1,
  maxBytes: 50_000_000,
  topics: [{ topic, partitions: Array.from({ length: partitions }, (_, partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 })) }],
});
/** The letter that fills the values of a batch. */
const letterIn = (batch: Buffer): string => String.fromCharCode(batch[batch.length - 20] as number);
const turns = async (count: number): Promise<void> => {
  for (let at = 0; at < count; at++) await new Promise((resolve) => setImmediate(resolve));
};

test('slow readers of large answers get their own bytes while quick ones use the same memory over and over, and writers too', async () => {
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
  broker = await startBroker({ dataDir }, ports);
  const { port } = broker;
  const writer = new Reader(port);
  const letters = ['a', 'b', 'c', 'd'];
  for (const letter of letters) {
    await writer.create(`topic-${letter}`, 4);
    const records = clientBatch({ records: Array.from({ length: 40 }, () => ['k', letter.repeat(5_000)]) });
    for (let index = 0; index < 4; index++) for (let batch = 0; batch < 5; batch++) await writer.produce(`topic-${letter}`, index, Buffer.from(records));
  }

  const slow = letters.map((letter) => ({ letter, answer: new Reader(port).fetchLater(`topic-${letter}`, 4) }));
  await turns(50);
  const quick = new Reader(port);
  for (let round = 0; round < 4; round++)
    for (const letter of letters) {
      const found = await quick.fetchLater(`topic-${letter}`, 4).read();
      expect(found.map(({ offsets }) => offsets)).toEqual(letters.map(() => [0, 40, 80, 120, 160]));
      expect(found.map(({ texts }) => [...texts])).toEqual(letters.map(() => [letter]));
      await writer.produce('topic-a', 3, clientBatch({ records: Array.from({ length: 40 }, () => ['k', 'a'.repeat(5_000)]) })); // behind what fits in an answer
    }
  for (const { letter, answer } of slow) expect((await answer.read()).map(({ texts }) => [...texts])).toEqual(letters.map(() => [letter]));
});
