// The public names of @millrace/state-lmdb. `engine` is what the runtime looks for in an engine package.
export { KEY_BYTES_MAX } from './lmdb-database.ts';
export { lmdbEngine, lmdbEngine as engine } from './lmdb-engine.ts';
