// Unit and suite tests run from source: every package resolves to its src, so no build is needed to run one test.
// With MILLRACE_TEST_KAFKA (set by scripts/test-kafka.mjs to the address of a real Kafka) only the suites of test/kafka run,
// with MILLRACE_TEST_INTEROP (set by scripts/test-interop.mjs to the foreign clients it found) only those of test/interop.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const packages = fileURLToPath(new URL('./packages/', import.meta.url));
const alias = readdirSync(packages).map((name) => ({
  find: new RegExp(`^${name === 'millrace' ? 'millrace' : `@millrace/${name}`}$`),
  replacement: `${packages}${name}/src/index.ts`,
}));
alias.push({ find: /^millrace\/testkit$/, replacement: `${packages}millrace/src/testkit.ts` });

const apart = process.env.MILLRACE_TEST_KAFKA !== undefined ? 'kafka' : process.env.MILLRACE_TEST_INTEROP !== undefined ? 'interop' : undefined;
const outside = ['**/node_modules/**', '**/dist/**'];

export default defineConfig({
  resolve: { alias },
  test: {
    include: apart !== undefined ? [`test/${apart}/**/*.test.ts`] : ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts', 'examples/*/src/**/*.test.ts'],
    exclude: apart !== undefined ? outside : [...outside, 'test/kafka/**', 'test/interop/**'],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
