// Runs a module of the tests from its TypeScript source, with every package from its source: vite loads it, nothing is built.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './prepare.mjs';

/** `path` from the repository's root, beginning with a slash. What `use` returns is returned. */
export async function withSources(path, use) {
  const { createServer } = await import('vite');
  const alias = readdirSync(join(root, 'packages')).map((name) => ({
    find: new RegExp(`^${name === 'millrace' ? 'millrace' : `@millrace/${name}`}$`),
    replacement: join(root, 'packages', name, 'src/index.ts'),
  }));
  const server = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    appType: 'custom',
    resolve: { alias },
    oxc: { target: 'es2022' },
    server: { middlewareMode: true, watch: null, hmr: false, ws: false },
  });
  try {
    return await use(await server.ssrLoadModule(path));
  } finally {
    await server.close();
  }
}
