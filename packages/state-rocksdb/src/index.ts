// The public names of @millrace/state-rocksdb. `engine` and `probe` are what the runtime looks for in an engine package.
export { type Probe, probe } from './probe.ts';
export { rocksdbEngine, rocksdbEngine as engine } from './rocksdb-engine.ts';
