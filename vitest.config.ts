// Unit and suite tests run from source: every package resolves to its src, so no build is needed to run one test.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const packages = fileURLToPath(new URL('./packages/', import.meta.url));
const alias = readdirSync(packages).map((name) => ({
  find: new RegExp(`^${name === 'millrace' ? 'millrace' : `@millrace/${name}`}$`),
  replacement: `${packages}${name}/src/index.ts`,
}));

export default defineConfig({
  resolve: { alias },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts', 'examples/*/src/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'test/kafka/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
