// Which engine packages are installed beside this one. They are optional: npm leaves them out where they cannot run.
import type { EngineCandidate } from '@millrace/runtime';

export function installedEngines(): readonly EngineCandidate[] {
  return [
    { name: 'rocksdb', module: resolved('@millrace/state-rocksdb') },
    { name: 'lmdb', module: resolved('@millrace/state-lmdb') },
  ];
}

function resolved(name: string): string | undefined {
  try {
    return import.meta.resolve(name);
  } catch {
    return undefined;
  }
}
