// A thread that attaches by ticket and writes numbered batches, telling each number once its write has returned.
import { parentPort, workerData } from 'node:worker_threads';
import type { DatabaseTicket } from '@millrace/state';
import { engineNamed } from './engines.ts';
import { contentFault, lastBatch, numberedBatch } from './numbered-batches.ts';

const { ticket, batches } = workerData as { readonly ticket: DatabaseTicket; readonly batches: number };
const database = engineNamed(ticket.engine).attach(ticket);
let number = lastBatch(database);
const until = number + batches;
const step = (): void => {
  for (let round = 0; round < 5 && number < until; round++) database.write(numberedBatch(++number));
  parentPort?.postMessage(number);
  if (number < until) {
    setImmediate(step);
    return;
  }
  const fault = contentFault(database);
  database.detach();
  parentPort?.postMessage(fault ?? 'done');
};
step();
