// A program whose callback does not return the first time it meets `loop`; the second time, in another worker, it does.
// Environment, which threads share: FOLDER (holds the mark), BROKER. Prints what happens, one line each; ends when all is processed.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApp, isMain, serde, topic, topology } from 'millrace';
import { endsOnWord } from './ends-on-word.mjs';

const { FOLDER: folder, BROKER: broker } = process.env;
const lines = topic('loop-lines', { key: serde.string(), value: serde.string(), partitions: 1 });
const out = topic('loop-out', { key: serde.string(), value: serde.string(), partitions: 1 });

const program = topology('endless', (t) => {
  t.stream(lines)
    .mapValues(
      (line) => {
        const mark = join(folder, 'looped');
        if (line === 'loop' && !existsSync(mark)) {
          writeFileSync(mark, '');
          for (;;);
        }
        return line.toUpperCase();
      },
      { value: serde.string() },
    )
    .to(out);
});
export default program;

if (isMain(import.meta)) {
  const app = createApp(program, {
    module: import.meta.url,
    brokers: [broker],
    stateDir: join(folder, 'state'),
    createTopics: true,
    http: false,
    tuning: { blockedAfter: 100, taskTimeout: 1000 },
  });
  app.events.subscribe((event) => {
    if (event.kind === 'blocked') console.log('blocked');
    if (event.kind === 'workerFailed') console.log(event.error.code);
  });
  await endsOnWord(app, out);
}
