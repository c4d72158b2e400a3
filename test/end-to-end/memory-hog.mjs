// A program whose callback takes all memory there is the first time it meets `hog`; the second time, in another worker or process, it does not.
// Environment, which threads share: FOLDER (holds the mark), BROKER, WORKERS. Prints what happens, one line each; ends when all is processed.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApp, isMain, serde, store, topic, topology } from 'millrace';
import { endsOnWord } from './ends-on-word.mjs';

const { FOLDER: folder, BROKER: broker, WORKERS: workers } = process.env;
const lines = topic(`hog-lines-${workers}`, { key: serde.string(), value: serde.string(), partitions: 1 });
const out = topic(`hog-out-${workers}`, { key: serde.string(), value: serde.string(), partitions: 1 });

const program = topology(`hog-${workers}`, (t) => {
  t.stream(lines)
    .peek((line) => {
      const mark = join(folder, `hogged-${workers}`);
      if (line !== 'hog' || existsSync(mark)) return;
      writeFileSync(mark, '');
      const kept = [];
      for (;;) kept.push(Array.from({ length: 10_000 }, (_, at) => ({ at, text: `${at}` })));
    })
    .groupByKey()
    .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
    .toStream()
    .mapValues((count) => String(count), { value: serde.string() })
    .to(out);
});
export default program;

if (isMain(import.meta)) {
  const app = createApp(program, {
    ...(workers === '0' ? {} : { module: import.meta.url }),
    brokers: [broker],
    stateDir: join(folder, 'state'),
    createTopics: true,
    http: false,
  });
  app.events.subscribe((event) => {
    if (event.kind === 'workerFailed') console.log(`${event.error.code}: ${event.error.message}`);
  });
  await endsOnWord(app, out);
}
