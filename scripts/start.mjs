// npm start: the first example, prepared and then run in this very process, so that a signal to it reaches the program and nothing else.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';

await orExplain(async () => {
  const example = 'examples/01-flight-delays';
  await prepare(example);
  process.setSourceMapsEnabled(true); // messages point into the TypeScript
  const main = join(root, example, 'dist/main.js');
  process.argv[1] = main;
  try {
    await import(pathToFileURL(main).href);
  } catch (error) {
    if (error?.[Symbol.for('millrace.error')] !== true) throw error;
    // A topology that cannot be built, told with the line of the script that is to blame.
    const line = /\((?:file:\/\/)?([^()]*[\\/]examples[\\/][^()]*)\)|at (?:file:\/\/)?(\S*[\\/]examples[\\/]\S*)/.exec(error.stack ?? '');
    throw new Refusal(`${error.message}${line === null ? '' : ` (${line[1] ?? line[2]})`}`);
  }
});
