// One body after the other for every API, side and version: what the corpus, the comparison with Apache's code and the fuzzer begin with.
// Owns: the order and the seeds.  Never: knows what the bytes should be.
import { seededChance } from '@millrace/core';
import { APIS } from '../apis.ts';
import { structCodec } from '../codec.ts';
import type { Api } from '../schema.ts';
import { withWriter } from '../writer.ts';
import { randomBody } from './random-body.ts';

export interface SampleBody {
  readonly api: Api;
  readonly side: 'request' | 'response';
  readonly version: number;
  readonly body: Record<string, unknown>;
  /** The body alone, without header and size. */
  readonly bytes: Buffer;
}

/** `each` bodies per version and side, the same on every machine. */
export function sampleBodies(each: number): SampleBody[] {
  const samples: SampleBody[] = [];
  for (const api of Object.values(APIS) as readonly Api[])
    for (const side of ['request', 'response'] as const)
      for (let version = api.versions.min; version <= api.versions.max; version++) {
        const chance = seededChance(api.key * 1000 + version * 10 + (side === 'request' ? 0 : 1));
        const flexible = version >= api.flexibleFrom;
        for (let index = 0; index < each; index++) {
          const body = randomBody(api[side], version, flexible, chance);
          samples.push({ api, side, version, body, bytes: encodeBody(api, side, version, body) });
        }
      }
  return samples;
}

export function encodeBody(api: Api, side: 'request' | 'response', version: number, body: Record<string, unknown>): Buffer {
  return withWriter((writer) => {
    structCodec(api[side], version, version >= api.flexibleFrom).encode(writer, body);
    return Buffer.from(writer.finish(false));
  });
}
