// npm start: the first example, prepared and then run in this very process, so that a signal to it reaches the program and nothing else.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { orExplain, prepare, root } from './prepare.mjs';

await orExplain(async () => {
  const example = 'examples/01-flight-delays';
  await prepare(example);
  process.setSourceMapsEnabled(true); // messages point into the TypeScript
  const main = join(root, example, 'dist/main.js');
  process.argv[1] = main;
  await import(pathToFileURL(main).href);
});
