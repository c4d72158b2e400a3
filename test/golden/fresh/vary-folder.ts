// Varies every program of a folder in place: each from the seed and its own place in the list.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Case } from '../case-format.ts';
import { vary } from './vary.ts';

export function varyFolder(folder: string, seed: number): number {
  const files = readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => path.endsWith('.json') && statSync(path).isFile())
    .sort();
  for (const [at, file] of files.entries()) writeFileSync(file, JSON.stringify(vary(JSON.parse(readFileSync(file, 'utf8')) as Case, seed + at)));
  return files.length;
}
