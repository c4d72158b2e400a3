// npm run torture -- --kills N: real processes under faults, then an audit of every record. Last line `N faults, M findings`.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { whyNoKafka } from './kafka.mjs';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';

const USAGE = `npm run torture -- --kills N [--seed S] [--instances 3] [--workers 1] [--engine auto|rocksdb|lmdb|memory]
  [--guarantee exactly-once|at-least-once] [--shared] [--session MS] [--pause MS] [--rate PER_SECOND] [--parts counts,ledger,meetings,foreign]
  [--kafka [--brokers 1|3]] [--proxy] [--disks] [--faults NAME,…] [--keep]
--shared: the instances share the embedded broker of their folder, and it dies with the one that runs it.
--kafka: Apache Kafka from Maven's jars, one node or a cluster of three (replication factor 3, two in sync), in place of the embedded broker.
--proxy: instances reach the brokers through a proxy that cuts, delays, holds, loses and damages what passes it.
--disks: state and the embedded broker's log each on a small disk (a tmpfs: Linux, root) that fills, fails (strace) and turns read-only.
--faults: only these; without it, all that make sense with the other options. A name that is none lists them.`;

await orExplain(async () => {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const { values } = parseArgs({
    options: {
      kills: text,
      seed: text,
      instances: text,
      workers: text,
      engine: text,
      guarantee: text,
      session: text,
      pause: text,
      rate: text,
      faults: text,
      parts: text,
      brokers: text,
      kafka: flag,
      proxy: flag,
      disks: flag,
      shared: flag,
      keep: flag,
      help: flag,
    },
  });
  if (values.help) throw new Refusal(USAGE);
  const number = (name, fallback) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isSafeInteger(value) || value < 0) throw new Refusal(`--${name} must be a whole number.\n${USAGE}`);
    return value;
  };
  if (process.env.MILLRACE_TORTURE_BUILT === undefined) await prepare('.');
  const { whyNoDisks, whyNoStrace } = await import(pathToFileURL(join(root, 'test/torture/disks.mjs')).href);
  const { torture, faultsFor } = await import(pathToFileURL(join(root, 'test/torture/torture.mjs')).href);
  const options = {
    kills: number('kills', 20),
    seed: number('seed', Date.now() % 1_000_000),
    instances: number('instances', 3),
    workers: number('workers', 1),
    engine: values.engine ?? 'auto',
    guarantee: values.guarantee ?? 'exactly-once',
    sessionMs: number('session', 1500),
    pauseMs: number('pause', 1000),
    perSecond: number('rate', 400),
    faults: values.faults?.split(','),
    parts: (values.parts ?? 'counts').split(','),
    kafka: values.kafka,
    brokers: number('brokers', 1),
    proxy: values.proxy,
    disks: values.disks,
    shared: values.shared,
    keep: values.keep,
  };
  if (options.shared && (options.kafka || options.proxy || options.disks)) throw new Refusal(`--shared goes with none of --kafka, --proxy, --disks.\n${USAGE}`);
  if (options.disks && options.kafka) throw new Refusal(`--disks is for the embedded broker.\n${USAGE}`);
  if (options.brokers !== 1 && !(options.kafka && options.brokers === 3)) throw new Refusal(`--brokers is 1, or 3 with --kafka.\n${USAGE}`);
  const known = Object.keys(faultsFor(options));
  const unknown = options.faults?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Refusal(`--faults: ${unknown} is none of ${known.join(', ')}.`);
  const reason = (options.kafka ? whyNoKafka() : undefined) ?? (options.disks ? (whyNoDisks() ?? whyNoStrace()) : undefined);
  if (reason !== undefined) {
    process.stdout.write(`skipped: torture: ${reason}\n`);
    return;
  }
  const say = (line) => process.stderr.write(`${line}\n`);
  say(`seed ${options.seed}`);
  const { findings, faults, hits, acknowledged, folder } = await torture(options, say);
  for (const finding of findings) process.stdout.write(`${finding}\n`);
  if (findings.length > 0) process.stdout.write(`logs and data are kept in ${folder}\n`);
  process.stdout.write(`${JSON.stringify({ ...options, faults, hits, acknowledged })}\n`);
  const count = Object.values(faults).reduce((sum, one) => sum + one, 0);
  process.stdout.write(`${count} faults, ${findings.length} findings\n`);
  if (findings.length > 0) process.exitCode = 1;
});
