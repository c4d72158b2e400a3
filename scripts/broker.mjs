// npm run broker: the embedded broker alone, in the foreground.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { orExplain, prepare, root } from './prepare.mjs';

await orExplain(async () => {
  await prepare('packages/cli');
  process.setSourceMapsEnabled(true);
  const { runCli, processDeps } = await import(pathToFileURL(join(root, 'packages/cli/dist/index.js')).href);
  process.exitCode = await runCli(['broker', ...process.argv.slice(2)], processDeps());
});
