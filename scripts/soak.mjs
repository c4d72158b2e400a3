// npm run soak -- --minutes 30: does an instance under constant load grow? bench/soak.mjs says how it is measured.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { orExplain, prepare, root } from './prepare.mjs';

await orExplain(async () => {
  await prepare('.');
  await import(pathToFileURL(join(root, 'bench/soak.mjs')).href);
});
