// The page docs/testing.md: quotes the files beside this one as they are, and they compile. Vitest runs the tests among them.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const files = readdirSync(`${root}test/docs/testing`).map((file) => `${root}test/docs/testing/${file}`);
const page = readFileSync(`${root}docs/testing.md`, 'utf8');

test.each(files)('the page quotes %s as it is', (file) => {
  expect(page).toContain(`\`\`\`ts\n${readFileSync(file, 'utf8')}\`\`\``);
});

test('the quoted files compile under the strict options', () => {
  const { config } = ts.readConfigFile(`${root}tsconfig.base.json`, ts.sys.readFile) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, composite: false, noEmit: true, allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false },
    root,
  );
  const packages = readdirSync(`${root}packages`).map((name) => [name === 'millrace' ? name : `@millrace/${name}`, [`${root}packages/${name}/src/index.ts`]]);
  const paths = { ...Object.fromEntries(packages), 'millrace/testkit': [`${root}packages/millrace/src/testkit.ts`] };
  const program = ts.createProgram(files, { ...options, paths });
  const mistakes = files.flatMap((file) => program.getSemanticDiagnostics(program.getSourceFile(file)));
  expect(mistakes.map((each) => ts.flattenDiagnosticMessageText(each.messageText, '\n'))).toEqual([]);
});
