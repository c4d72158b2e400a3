// The committed inputs of the fuzzer: one text file per decoder, one input a line, in hex. `#` begins a remark.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const fileOf = (decoder: string): URL => new URL(`./corpus/${decoder}.txt`, import.meta.url);

export function readCorpus(decoder: string): Buffer[] {
  if (!existsSync(fileOf(decoder))) return [];
  const lines = readFileSync(fileOf(decoder), 'utf8').split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => Buffer.from(line, 'hex'));
}

/** Keeps the shortest of what was new. */
export function writeCorpus(decoder: string, inputs: readonly Buffer[], most = 80): void {
  if (inputs.length === 0) return;
  const kept = [...new Set([...readCorpus(decoder), ...inputs].map((bytes) => bytes.toString('hex')))].sort((left, right) => left.length - right.length);
  writeFileSync(fileOf(decoder), `${kept.slice(0, most).join('\n')}\n`);
}
