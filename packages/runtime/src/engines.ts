// Which store engine an instance uses: what is asked for, what is installed, what loads here (design D9).
// Never: imports an engine package by name. The caller says where each one may be found.
import { explainError, type Logger, MillraceError } from '@millrace/core';
import { type ByteStoreEngine, byteStoreEngineOf, memoryEngine, mixedEngine } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import type { EngineSource } from './worker-messages.ts';

/** An engine that may be installed. */
export interface EngineCandidate {
  readonly name: 'rocksdb' | 'lmdb';
  /** File URL of a module that exports `engine` and may export `probe`; undefined: not installed. */
  readonly module: string | undefined;
  /** The engine itself, where whoever starts the workers can hand it to them as well (a simulation); no module is imported. */
  readonly engine?: ByteStoreEngine | undefined;
}

/** What an engine module exports. */
interface EngineModule {
  readonly engine: ByteStoreEngine;
  /** Loads the native code in a child process first: a crash there costs nothing. */
  readonly probe?: () => Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>;
}

export interface ChosenEngine {
  readonly engine: ByteStoreEngine;
  readonly source: EngineSource;
}

export async function loadEngine(source: EngineSource): Promise<ByteStoreEngine> {
  if (source.module === undefined) return memoryEngine;
  const loaded = (await import(source.module)) as EngineModule;
  return loaded.engine;
}

/** `auto`: RocksDB where it loads, else LMDB, else memory with a warning. A named engine that does not load is ERR_ENGINE_UNAVAILABLE. */
export async function chooseEngine(wanted: 'auto' | 'rocksdb' | 'lmdb' | 'memory', candidates: readonly EngineCandidate[], log: Logger): Promise<ChosenEngine> {
  if (wanted === 'memory') return { engine: memoryEngine, source: { name: 'memory', module: undefined } };
  const reasons: string[] = [];
  for (const candidate of candidates) {
    if (wanted !== 'auto' && candidate.name !== wanted) continue;
    const found = await tryEngine(candidate);
    if (typeof found !== 'string') {
      if (reasons.length > 0) log.info({ engine: candidate.name }, `state engine ${candidate.name}: ${reasons.join('; ')}`);
      return found;
    }
    reasons.push(`${candidate.name} ${found}`);
  }
  if (wanted !== 'auto')
    throw new MillraceError(
      'ERR_ENGINE_UNAVAILABLE',
      `engine '${wanted}' cannot be used here: ${reasons.join('; ') || 'it is not installed'}. Install @millrace/state-${wanted}, or set engine: 'auto'.`,
      { engine: wanted },
    );
  log.warn({}, `no durable state engine loads here (${reasons.join('; ')}): stores are kept in memory and rebuilt from their changelogs at every start`);
  return { engine: memoryEngine, source: { name: 'memory', module: undefined } };
}

/** Engines by the names that stores of the topology ask for. */
export type NamedEngines = ReadonlyMap<string, ChosenEngine>;

/** Throws ERR_ENGINE_UNAVAILABLE for one that is asked for by name and does not load. */
export async function chooseStoreEngines(topology: Topology, candidates: readonly EngineCandidate[], log: Logger): Promise<NamedEngines> {
  const chosen = new Map<string, ChosenEngine>();
  for (const { engine } of topology.stores.values())
    if (typeof engine === 'string' && !chosen.has(engine)) chosen.set(engine, await chooseEngine(engine, candidates, log));
  return chosen;
}

/** The engine of a whole instance: the app's, and beside it those of stores that have one of their own. */
export function engineOf(topology: Topology, app: ByteStoreEngine, named: ReadonlyMap<string, ByteStoreEngine>): ByteStoreEngine {
  const byStore = new Map<string, ByteStoreEngine>();
  for (const { name, engine } of topology.stores.values()) {
    const own = engine === undefined ? undefined : typeof engine === 'string' ? named.get(engine) : byteStoreEngineOf(engine);
    if (own !== undefined && own !== app) byStore.set(name, own);
  }
  return byStore.size === 0 ? app : mixedEngine(app, byStore);
}

async function tryEngine(candidate: EngineCandidate): Promise<ChosenEngine | string> {
  if (candidate.engine !== undefined) return { engine: candidate.engine, source: { name: candidate.name, module: undefined } };
  if (candidate.module === undefined) return 'is not installed';
  try {
    const loaded = (await import(candidate.module)) as EngineModule;
    const probed = await loaded.probe?.();
    if (probed !== undefined && !probed.ok) return `does not load (${probed.reason})`;
    return { engine: loaded.engine, source: { name: candidate.name, module: candidate.module } };
  } catch (error) {
    return `does not load (${explainError(error)})`;
  }
}
