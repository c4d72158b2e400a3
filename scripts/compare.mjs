// npm run compare -- [--episodes 200] [--seed 1] [--area NAME]: the same requests, nearly right and in any order, to Apache Kafka and to the embedded
// broker; what they answer must be the same, but for what docs/broker-differences.md lists. Last line as of npm test.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KAFKA_VERSION, startKafka, whyNoKafka } from './kafka.mjs';
import { orExplain, prepare, Refusal } from './prepare.mjs';
import { printLastLine, runVitest } from './run-vitest.mjs';

const USAGE = `npm run compare -- [--episodes 200] [--seed 1] [--area "log|transactions|classic groups|consumer groups|administration"]`;

await orExplain(async () => {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { episodes: text, seed: text, area: text, help: { type: 'boolean', default: false } } });
  if (values.help) throw new Refusal(USAGE);
  const number = (name, fallback) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isSafeInteger(value) || value < 1) throw new Refusal(`--${name} must be a whole number from 1 on.\n${USAGE}`);
    return String(value);
  };
  const settings = { MILLRACE_COMPARE_EPISODES: number('episodes', 200), MILLRACE_COMPARE_SEED: number('seed', 1) };
  const reason = whyNoKafka();
  if (reason !== undefined) {
    process.stdout.write(`skipped: the comparison with Apache Kafka: ${reason}\n`);
    printLastLine(0, 0, 1);
    return;
  }
  await prepare('.');
  const folder = mkdtempSync(join(tmpdir(), 'millrace-compare-'));
  const report = join(folder, 'report.txt');
  const kafka = await startKafka();
  process.stderr.write(`Apache Kafka ${KAFKA_VERSION} on ${kafka.address}, process ${kafka.pid}\n`);
  try {
    process.exitCode = await runVitest(['test/kafka/differential'], {
      ...settings,
      ...(values.area === undefined ? {} : { MILLRACE_COMPARE_AREA: values.area }),
      MILLRACE_COMPARE_REPORT: report,
      MILLRACE_TEST_KAFKA: kafka.address,
    });
    process.stderr.write(readOr(report));
  } finally {
    await kafka.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

function readOr(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the suite did not get as far: its own words are above
  }
}
