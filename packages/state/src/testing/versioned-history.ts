// The life of a versioned store, drawn from a seed, against a plain list of versions. For every engine.
import { serde } from '@millrace/core';
import { expect } from 'vitest';
import { type OpenDatabase, StagedVersionedStore, type Version, versionedView } from '../index.ts';
import { chanceFrom, Host, KEYS, lifeStep, Model, stored } from './span-life.ts';

const HISTORY = 20_000;

interface VersionsState {
  /** By key, then by time. */
  readonly keys: Map<string, Map<number, string | null>>;
  observed: number;
}

const copy = (state: VersionsState): VersionsState => ({
  keys: new Map([...state.keys].map(([key, versions]) => [key, new Map(versions)])),
  observed: state.observed,
});

function versionsOf(state: VersionsState, key: string): Version<string>[] {
  const sorted = [...(state.keys.get(stored(key)) ?? [])].sort(([a], [b]) => a - b);
  return sorted.map(([validFrom, value], at) => ({ value, validFrom, validTo: sorted[at + 1]?.[0] }));
}

/** What a read may still see: old versions are known as far back as the history goes, the newest always. */
function valueAt(state: VersionsState, key: string, asOf: number): string | undefined {
  const versions = versionsOf(state, key);
  const newest = versions.at(-1);
  if (asOf < state.observed - HISTORY) return newest !== undefined && newest.validFrom <= asOf ? (newest.value ?? undefined) : undefined;
  return versions.findLast((version) => version.validFrom <= asOf)?.value ?? undefined;
}

export function runVersionedHistory(seed: number, database: OpenDatabase): void {
  const chance = chanceFrom(seed * 32_452_843);
  const options = { name: 's', key: serde.string(), value: serde.string(), historyMs: HISTORY };
  let expired = 0;
  const host = new Host(
    database,
    () =>
      new StagedVersionedStore<string, string>({
        ...options,
        database,
        currentTimestamp: () => 5,
        logEveryWrite: seed % 5 === 0,
        onExpired: () => void expired++,
      }),
  );
  const model = new Model<VersionsState>({ keys: new Map(), observed: -1 }, copy);
  let time = 0;
  for (let step = 0; step < 600; step++) {
    time += chance(4) === 0 ? chance(2500) : 0;
    if (lifeStep(chance, host, model)) continue;
    const { store } = host;
    const key = KEYS[chance(6)] as string;
    const place = `seed ${seed} step ${step} key ${JSON.stringify(key)} time ${time}`;
    const at = Math.max(0, time - (chance(3) === 0 ? chance(26_000) : chance(3)));
    const versions = versionsOf(model.open, key);
    switch (chance(7)) {
      case 0:
      case 1:
      case 2: {
        const value = chance(4) === 0 ? null : `v${step}`;
        const refusedBefore = expired;
        const written = store.put(key, value, at);
        if (at < model.open.observed - HISTORY) {
          expect(written, place).toBe('tooOld');
          expect(expired).toBe(refusedBefore + 1);
          break;
        }
        expect(written, place).toBe((versions.at(-1)?.validFrom ?? -1) > at ? 'superseded' : 'latest');
        const own = model.open.keys.get(stored(key)) ?? new Map<number, string | null>();
        model.open.keys.set(stored(key), own.set(at, value));
        model.open.observed = Math.max(model.open.observed, at);
        break;
      }
      case 3:
        expect(store.get(key), place).toBe(versions.at(-1)?.value ?? undefined);
        break;
      case 4: {
        const from = Math.max(0, time - chance(26_000));
        const range = { from, to: from + chance(9000), reverse: chance(2) === 0 };
        const oldest = model.open.observed - HISTORY;
        const inside = versions.filter(({ value, validFrom, validTo = Number.MAX_SAFE_INTEGER }) => {
          const isKept = validTo > oldest && (value !== null || validFrom > oldest);
          return isKept && validFrom <= range.to && validTo > range.from;
        });
        expect([...store.versions(key, range)], place).toEqual(range.reverse ? inside.reverse() : inside);
        break;
      }
      default:
        expect(store.get(key, at), `${place} as of ${at}`).toBe(valueAt(model.open, key, at));
    }
  }
  if (host.isClosing) {
    host.commit();
    model.commit();
  }
  host.close();
  host.commit();
  host.settle();
  expect(host.store.stagedBytes).toBe(0);
  expect(host.store.memory().observedTime).toBe(model.open.observed);
  const view = versionedView<string, string>(database, options);
  for (const key of KEYS.slice(0, 6)) {
    expect(view.get(key)?.value, `view of ${JSON.stringify(key)}, seed ${seed}`).toBe(versionsOf(model.open, key).at(-1)?.value ?? undefined);
    for (let asOf = Math.max(0, time - 25_000); asOf < time + 10; asOf += 700)
      expect(view.get(key, asOf)?.value, `view of ${JSON.stringify(key)} as of ${asOf}, seed ${seed}`).toBe(valueAt(model.open, key, asOf));
    expect([...view.versions(key)]).toEqual([...host.store.versions(key)]);
  }
}
