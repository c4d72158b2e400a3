// npm run test:kafka: the suites of test/kafka against a real Apache Kafka, started here from Maven's jars and stopped by its id.
// Skipped with a reason where Java or Maven is missing. Last line as of npm test.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KAFKA_VERSION, startKafka, whyNoKafka } from './kafka.mjs';
import { orExplain, prepare, root } from './prepare.mjs';
import { printLastLine, runVitest } from './run-vitest.mjs';

await orExplain(async () => {
  const folder = join(root, 'test/kafka');
  const files = readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith('.test.ts'));
  const reason = whyNoKafka();
  if (reason !== undefined) {
    for (const file of files) process.stdout.write(`skipped: test/kafka/${file}: ${reason}\n`);
    printLastLine(0, 0, files.length);
    return;
  }
  await prepare('.');
  const kafka = await startKafka();
  process.stderr.write(`Apache Kafka ${KAFKA_VERSION} on ${kafka.address}, process ${kafka.pid}\n`);
  try {
    process.exitCode = await runVitest(process.argv.slice(2), {
      MILLRACE_TEST_KAFKA: kafka.address,
      MILLRACE_TEST_KAFKA_SECURE: kafka.secureAddress,
      MILLRACE_TEST_KAFKA_VERSION: KAFKA_VERSION,
      MILLRACE_TEST_KAFKA_JARS: kafka.jars,
    });
  } finally {
    await kafka.stop();
    if (existsSync(kafka.folder)) process.stderr.write(`Could not remove ${kafka.folder}; remove it by hand.\n`);
  }
});
