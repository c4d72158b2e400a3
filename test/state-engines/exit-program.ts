// A process that exits while a thread of its own is in the middle of writes. Arguments: engine, folder, the bundle of `attached-program.ts`.
import { Worker } from 'node:worker_threads';
import { engineNamed, STORES } from './engines.ts';

const [engine = '', directory = '', program = ''] = process.argv.slice(2);
const database = await engineNamed(engine).open({ directory, stores: STORES, cacheBytes: 1024 * 1024 });
const worker = new Worker(program, { workerData: { ticket: database.ticket, batches: 1_000_000 } });
worker.on('message', () => process.exit(7));
