// Makes one plain JavaScript file of a test program and our packages, for child processes and threads: they cannot run TypeScript.
// It lies under node_modules, so that native packages resolve from there.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

export interface BundledProgram extends Disposable {
  readonly path: string;
}

export async function bundleProgram(source: URL): Promise<BundledProgram> {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const cache = join(root, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'millrace-test-'));
  const packages = join(root, 'packages');
  const alias = readdirSync(packages).map((name) => ({ find: new RegExp(`^@millrace/${name}$`), replacement: join(packages, name, 'src', 'index.ts') }));
  await build({
    root,
    configFile: false,
    logLevel: 'silent',
    resolve: { alias },
    ssr: { noExternal: /^@millrace\// },
    build: {
      ssr: fileURLToPath(source),
      outDir: folder,
      emptyOutDir: false,
      target: 'node20',
      minify: false,
      rollupOptions: { output: { entryFileNames: 'program.mjs' } },
    },
  });
  return { path: join(folder, 'program.mjs'), [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
