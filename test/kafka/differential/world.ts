// What the requests of one episode are about: its topics, its group, its transactional ids, and what is drawn by chance.
// Owns: the names.  Never: asks.
import type { Chance } from '@millrace/core';
import { type Api, crc32c, NO_UUID } from '@millrace/protocol';
import { clientBatch } from '../../../packages/broker/src/testing/log-fixture.ts';
import { Known, type Side } from './side.ts';

/** One request to both brokers. */
export interface Ask {
  readonly api: Api;
  readonly body: unknown;
  /** Requests that may wait have connections of their own. */
  readonly lane?: number;
  readonly versions?: readonly [min: number, max: number];
  /** Takes from the answer what this broker has made up. */
  readonly learn?: (side: Side, answer: never) => void;
}

/** The topics of several episodes, until they have come to differ. */
export interface Ground {
  /** Two partitions. */
  readonly topic: string;
  /** One partition, compacted. */
  readonly compacted: string;
}

export class World {
  readonly chance: Chance;
  readonly ground: Ground;
  readonly name: string;
  /** The next sequence number per producer. */
  readonly sequences = [0, 0];

  constructor(chance: Chance, ground: Ground, name: string) {
    this.chance = chance;
    this.ground = ground;
    this.name = name;
  }

  pick<T>(...from: readonly T[]): T {
    return from[this.chance.integer(from.length)] as T;
  }
  /** True once in `times`. */
  once(times: number): boolean {
    return this.chance.integer(times) === 0;
  }
  get group(): string {
    return `group-${this.name}`;
  }
  topicName(): string {
    return this.pick(this.ground.topic, this.ground.topic, this.ground.topic, this.ground.compacted, 'no-such-topic');
  }
  topicId(name: string): Known {
    return new Known(`id of ${name}`, NO_UUID);
  }
  partition(): number {
    return this.pick(0, 0, 0, 1, 1, 2, -1);
  }
  offset(): number {
    return this.pick(0, 0, 1, 2, 3, 5, 8, 100, -1, -2);
  }

  /** Batches for one producer, or for nobody. What belongs to a producer is each broker's own. */
  records(producer: 0 | 1 | undefined, transactional: boolean): (side: Side) => Buffer {
    const count = this.pick(1, 1, 2, 3);
    const keyless = this.once(4);
    const timestamp = this.pick(Date.now(), Date.now(), 1_000, 0, -1, Date.now() + 7_200_000);
    const compression = this.pick(0, 0, 1, 2, 3);
    const sequence = producer === undefined ? -1 : this.pick(this.sequences[producer] as number, this.sequences[producer] as number, 0, 7, 0x7fff_ffff);
    const epochShift = this.pick(0, 0, 0, 0, 1, -1);
    const damage = this.pick('none', 'none', 'none', 'none', 'none', 'crc', 'cut', 'two', 'control', 'base', 'magic', 'count', 'delta', 'length');
    return (side) => {
      const producerId = producer === undefined ? undefined : ((side.values.get(`pid ${producer}`) as number | undefined) ?? 4_000_000);
      const epoch = producer === undefined ? -1 : ((side.values.get(`epoch ${producer}`) as number | undefined) ?? 0) + epochShift;
      const bytes = clientBatch({
        records: Array.from({ length: count }, (_, at) => [keyless ? null : `key ${at}`, at === 1 ? null : 'value']),
        timestamp,
        compression,
        ...(producerId === undefined ? {} : { producerId, epoch, sequence, transactional }),
      });
      return damaged(bytes, damage);
    };
  }
}

function damaged(bytes: Buffer, damage: string): Buffer {
  switch (damage) {
    case 'crc':
      bytes.writeUInt32BE(bytes.readUInt32BE(17) ^ 1, 17);
      return bytes;
    case 'cut':
      return bytes.subarray(0, bytes.length - 3);
    case 'two':
      return Buffer.concat([bytes, bytes]);
    case 'base':
      bytes.writeInt32BE(5, 4);
      return bytes;
    case 'magic':
      bytes[16] = 1;
      return bytes;
    case 'length':
      bytes.writeInt32BE(bytes.readInt32BE(8) + 7, 8);
      return bytes;
    case 'control':
      bytes.writeInt16BE(bytes.readInt16BE(21) | 0x20, 21);
      return resealed(bytes);
    case 'count':
      bytes.writeInt32BE(bytes.readInt32BE(57) + 1, 57);
      return resealed(bytes);
    case 'delta':
      bytes.writeInt32BE(bytes.readInt32BE(23) + 1, 23);
      return resealed(bytes);
    default:
      return bytes;
  }
}

/** With a checksum that is right again: what is wrong is what it says. */
function resealed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32c(bytes, 21, bytes.length), 17);
  return bytes;
}
