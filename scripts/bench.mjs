// npm run bench -- NAME: one benchmark of the folder bench; one JSON line per result on stdout.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';

await orExplain(async () => {
  const name = process.argv[2];
  const folder = join(root, 'bench');
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.mjs'))
    .map((file) => file.slice(0, -4));
  if (name === undefined || !/^[a-z0-9-]+$/.test(name) || !existsSync(join(folder, `${name}.mjs`))) {
    throw new Refusal(
      `${name === undefined ? 'Which benchmark?' : `There is no benchmark "${name}".`} Run: npm run bench -- NAME, with one of: ${names.join(', ')}.`,
    );
  }
  await prepare('.');
  process.argv.splice(1, 2, join(folder, `${name}.mjs`));
  await import(pathToFileURL(join(folder, `${name}.mjs`)).href);
});
