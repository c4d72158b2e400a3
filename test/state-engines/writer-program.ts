// A process that writes numbered batches until it is killed, and says each number once its write has returned.
// With `grow` each batch carries a larger value than the one before, so that any bound on the size of files is met.
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { engineNamed, STORES } from './engines.ts';
import { lastBatch, numberedBatch } from './numbered-batches.ts';

const [, , engine, directory, grow] = process.argv;
const database = await engineNamed(engine as string).open({ directory: directory as string, stores: STORES, cacheBytes: 4 * 1024 * 1024 });
for (let number = lastBatch(database) + 1; ; number++) {
  try {
    const batch = numberedBatch(number);
    if (grow === 'grow') batch.put('$meta', Buffer.from('grown'), randomBytes(number * 65_536));
    database.write(batch);
  } catch (error) {
    writeSync(1, `failed ${(error as { code?: string }).code} ${number} ${lastBatch(database)}\n`);
    process.exit(3);
  }
  writeSync(1, `${number}\n`);
}
