// Pages under docs/ quote programs that lie beside their tests: these two checks keep the page and the programs one thing.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Paths of the programs in `test/docs/<folder>`. */
export function programsOf(folder: string): readonly string[] {
  return readdirSync(`${root}test/docs/${folder}`).map((file) => `${root}test/docs/${folder}/${file}`);
}

/** True if `docs/<page>` holds the program as it is. */
export function isQuoted(page: string, program: string): boolean {
  return readFileSync(`${root}docs/${page}`, 'utf8').includes(`\`\`\`ts\n${readFileSync(program, 'utf8')}\`\`\``);
}

/** What the compiler has against the programs under the strict options of the packages; names resolve to their sources. */
export function mistakesIn(programs: readonly string[]): readonly string[] {
  const { config } = ts.readConfigFile(`${root}tsconfig.base.json`, ts.sys.readFile) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, composite: false, noEmit: true, allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false },
    root,
  );
  const packages = readdirSync(`${root}packages`).map((name) => [name === 'millrace' ? name : `@millrace/${name}`, [`${root}packages/${name}/src/index.ts`]]);
  const paths = { ...Object.fromEntries(packages), 'millrace/testkit': [`${root}packages/millrace/src/testkit.ts`] };
  const program = ts.createProgram([...programs], { ...options, paths });
  return programs
    .flatMap((file) => program.getSemanticDiagnostics(program.getSourceFile(file)))
    .map((each) => ts.flattenDiagnosticMessageText(each.messageText, '\n'));
}
