// Every API in every version, both sides: bodies that we wrote are read by Apache Kafka's own classes, and come back byte for byte.
// With MILLRACE_WRITE_CORPUS=1 what came back is the new corpus of the protocol package (packages/protocol/corpus/README.md).
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type SampleBody, sampleBodies } from '../../packages/protocol/src/testing/sample-frames.ts';

const jars = process.env.MILLRACE_TEST_KAFKA_JARS;
const corpus = new URL('../../packages/protocol/corpus/bodies.txt', import.meta.url);
const PER_VERSION = 40;
const KEPT_PER_VERSION = 2;

const nameOf = ({ side, api, version }: SampleBody): string => `${side} ${api.key} ${version}`;

function rewritten(lines: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const java = spawn('java', ['-cp', join(jars as string, '*'), new URL('./Rewrite.java', import.meta.url).pathname], { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    java.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    java.on('error', reject);
    java.on('close', (code) => (code === 0 ? resolve(text.trimEnd().split('\n')) : reject(new Error(`java ended with ${code}`))));
    java.stdin.end(`${lines.join('\n')}\n`);
  });
}

test.skipIf(jars === undefined)('what we write, Apache reads and writes the same', async () => {
  const samples = sampleBodies(PER_VERSION);
  const answers = await rewritten(samples.map((sample) => `${nameOf(sample)} ${sample.bytes.toString('hex')}`));
  expect(answers.length).toBe(samples.length);
  const wrong = new Map<string, string>();
  const unsupported = new Set<string>();
  const kept: string[] = [];
  const keptOf = new Map<string, number>();
  samples.forEach((sample, index) => {
    const answer = answers[index] as string;
    const name = nameOf(sample);
    if (answer === 'unsupported') unsupported.add(`${sample.api.name} v${sample.version}`);
    else if (answer !== sample.bytes.toString('hex'))
      wrong.set(`${sample.api.name} ${name}`, answer.startsWith('error') ? answer : `${sample.bytes.toString('hex')} → ${answer}`);
    else if ((keptOf.get(name) ?? 0) < KEPT_PER_VERSION) {
      keptOf.set(name, (keptOf.get(name) ?? 0) + 1);
      kept.push(`${name} ${answer}`);
    }
  });
  expect([...wrong].map(([name, what]) => `${name}: ${what}`)).toEqual([]);
  // Versions that Kafka 4 has dropped and old clients still speak.
  expect([...unsupported].sort()).toEqual([]);
  if (process.env.MILLRACE_WRITE_CORPUS === '1') writeFileSync(corpus, `${kept.join('\n')}\n`);
});
