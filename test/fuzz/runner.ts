// Runs one decoder on damaged bytes, again and again, and judges what it does with them.
// Owns: what counts as wrong.  Never: knows a format.
// Z1 a decoder gives a value or throws a MillraceError; anything else, an AssertionFailed too, is a finding.
// Z2 it allocates no buffer beyond its bound, whatever lengths it is told.  Z3 it ends within a second.
// Z4 the same decoder, seed and corpus give the same inputs: a finding names its execution and carries its bytes.
import { MillraceError, seededChance } from '@millrace/core';
import { watchHangs } from './hang-watch.ts';
import { mutate } from './mutate.ts';

export interface Decoder {
  readonly name: string;
  /** What it is fed at first: sound inputs, and the committed corpus. */
  seeds(): readonly Buffer[];
  /** A text says why it refused without throwing. */
  run(bytes: Buffer): string | undefined;
  /** Most bytes of one buffer it may ask for beside twice its input. */
  readonly allocationMax: number;
  /** Longest input (8 KiB). */
  readonly inputMax?: number;
  /** Makes checksums of damaged bytes right, so that what lies behind them is reached. Called for every other input. */
  repair?(bytes: Buffer): Buffer;
  /** How many executions `npm test` gives it (2000). */
  readonly shortRun?: number;
}

export interface FuzzReport {
  readonly decoder: string;
  readonly executions: number;
  readonly accepted: number;
  readonly refused: number;
  /** Inputs that made the decoder say something new, and so were damaged further. */
  readonly pool: readonly Buffer[];
  readonly slowestMs: number;
  readonly largestAllocation: number;
  readonly heapGrowthMiB: number;
  readonly tookMs: number;
}

const POOL_MAX = 600;
const SLOW_MS = 1_000;
const TURN = 500;
const INPUT_MAX = 8_192;

/** For decoders whose value nobody looks at. */
export function nothing(_value: unknown): undefined {
  return undefined;
}

export class Finding extends Error {
  override readonly name = 'Finding';
}

export async function fuzz(decoder: Decoder, executions: number, seed: number): Promise<FuzzReport> {
  const chance = seededChance(seed);
  const pool = decoder.seeds().map((bytes) => Buffer.from(bytes));
  const sound = pool.length;
  const seen = new Set<string>();
  const watch = watchAllocations();
  const hangs = watchHangs(`${decoder.name}, seed ${seed}`);
  const counts = { accepted: 0, refused: 0, slowestMs: 0, largest: 0 };
  const heapBefore = heapMiB();
  const startedMs = performance.now();
  try {
    for (let index = 0; index < executions; index++) {
      if (index % TURN === 0) await new Promise(setImmediate); // zlib gives memory back between turns only
      const whole = index < sound;
      let input = whole ? (pool[index] as Buffer) : mutate(pool[chance.integer(pool.length)] as Buffer, chance, pool, decoder.inputMax ?? INPUT_MAX);
      if (!whole && decoder.repair !== undefined && index % 2 === 0) input = decoder.repair(Buffer.from(input));
      hangs.begins(index, input);
      const outcome = execute(decoder, input, watch, counts, index, seed);
      if (seen.has(outcome)) continue;
      seen.add(outcome);
      if (!whole && pool.length < POOL_MAX) pool.push(Buffer.from(input));
    }
  } finally {
    watch.stop();
    await hangs.stop();
  }
  return {
    decoder: decoder.name,
    executions,
    accepted: counts.accepted,
    refused: counts.refused,
    pool: pool.slice(sound),
    slowestMs: Math.round(counts.slowestMs),
    largestAllocation: counts.largest,
    heapGrowthMiB: Math.round(heapMiB() - heapBefore),
    tookMs: Math.round(performance.now() - startedMs),
  };
}

interface Counts {
  accepted: number;
  refused: number;
  slowestMs: number;
  largest: number;
}

/** What the decoder said, numbers left out: 'accepted', or the kind of refusal. */
function execute(decoder: Decoder, input: Buffer, watch: AllocationWatch, counts: Counts, index: number, seed: number): string {
  const fail = (what: string, cause?: unknown): never => {
    const where = `${decoder.name}, seed ${seed}, execution ${index}, ${input.length} bytes`;
    throw new Finding(`${what} (${where}): ${input.toString('hex')}`, { cause });
  };
  const copy = Buffer.from(input); // some decoders write into what they are given
  watch.largest = 0;
  const startedMs = performance.now();
  let outcome = 'accepted';
  try {
    const refusal = decoder.run(copy);
    if (refusal === undefined) counts.accepted++;
    else {
      counts.refused++;
      outcome = shape(refusal);
    }
  } catch (error) {
    if (!MillraceError.is(error)) fail(`threw ${String(error)}`, error);
    outcome = `${(error as MillraceError).code} ${shape((error as MillraceError).message)}`;
    counts.refused++;
  }
  const tookMs = performance.now() - startedMs;
  if (tookMs > counts.slowestMs) counts.slowestMs = tookMs;
  if (watch.largest > counts.largest) counts.largest = watch.largest;
  if (tookMs > SLOW_MS && isSlowAgain(decoder, input)) fail(`took ${Math.round(tookMs)} ms`);
  if (watch.largest > decoder.allocationMax + input.length * 2) fail(`asked for a buffer of ${watch.largest} bytes`);
  return outcome;
}

/** A machine with other work may have been the slow one: twice more, and only a decoder is slow each time. */
function isSlowAgain(decoder: Decoder, input: Buffer): boolean {
  return [1, 2].every(() => {
    const startedMs = performance.now();
    try {
      decoder.run(Buffer.from(input));
    } catch {
      // what it threw is judged elsewhere
    }
    return performance.now() - startedMs > SLOW_MS;
  });
}

/** The kind of a refusal: its words without numbers and names. */
function shape(message: string): string {
  return message.replaceAll(/[^ -~]+|[0-9]+/g, '#').slice(0, 120);
}

interface AllocationWatch {
  largest: number;
  stop(): void;
}

/** Sees the size of every Buffer that is asked for. */
function watchAllocations(): AllocationWatch {
  const originals = { alloc: Buffer.alloc, allocUnsafe: Buffer.allocUnsafe, allocUnsafeSlow: Buffer.allocUnsafeSlow };
  const watch: AllocationWatch = { largest: 0, stop: () => void Object.assign(Buffer, originals) };
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const original = originals[name] as (size: number, ...rest: never[]) => Buffer;
    Object.assign(Buffer, {
      [name]: (size: number, ...rest: never[]): Buffer => {
        if (size > watch.largest) watch.largest = size;
        return original.call(Buffer, size, ...rest);
      },
    });
  }
  return watch;
}

function heapMiB(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / (1024 * 1024);
}
