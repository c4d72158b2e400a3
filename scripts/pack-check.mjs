// npm run pack:check: the packages as somebody who installs them meets them.
// Packs all of them, installs the tarballs into a fresh project, and looks: imported, required, compiled against, run, and what
// lies in them. Once more as another system, where the engine bound to Linux must be left out without a word.
// Owns: two temporary projects, removed at the end.  Never: touches the workspace, except for the build.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { packAll } from './pack.mjs';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';

const TOPOLOGY = `import { serde, topic, topology } from 'millrace';

const words = topic('words', { key: serde.string(), value: serde.string(), partitions: 1 });
const lengths = topic('lengths', { key: serde.string(), value: serde.safeInt(), partitions: 1 });
export default topology('word-lengths', (t) => t.stream(words).mapValues((word) => word.length).to(lengths));
`;
/** Starts on threads of its own with the embedded broker, says what it is, and stops. */
const MAIN = `import { run } from 'millrace';
import wordLengths from './topology.mjs';

const app = await run(wordLengths, { module: new URL('./topology.mjs', import.meta.url), stateDir: './state', http: false });
process.stdout.write(app.state + '\\n' + wordLengths.describe());
await app.close();
`;
const TYPED = `import { type App, createApp } from 'millrace';
import { serde, store, topic, topology, windows } from 'millrace';

const words = topic('words', { key: serde.string(), value: serde.json<{ readonly text: string }>() });
const counts = store.window('counts', { key: serde.string(), value: serde.safeInt() });
const counted = topology('word-counts', (t) => {
  t.stream(words).groupBy((word) => word.text).windowedBy(windows.tumbling({ size: '1 minute', grace: '0s' })).count({ store: counts });
  // @ts-expect-error -- a word has no such field: the types are there, not any
  t.stream(words).mapValues((word) => word.length);
});
export const app: App = createApp(counted, { http: false });
`;

function check(condition, what) {
  if (!condition) throw new Refusal(`pack:check: ${what}`);
  process.stderr.write(`ok  ${what}\n`);
}

function node(folder, ...args) {
  try {
    return execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Refusal(`pack:check: node ${args.join(' ')} failed in the fresh project:\n${error.stdout}${error.stderr}`);
  }
}

/** What main.mjs printed below its state: the topology. */
const wordLengthsText = (said) => `${said.slice('running\n'.length).trimEnd()}\n`;

/** A project that depends on every tarball; those bound to a platform as optional ones, as `millrace` itself has them. */
function install(folder, packed, flags = []) {
  mkdirSync(folder);
  const dependencies = {};
  const optionalDependencies = {};
  for (const { name, tarball, bound } of packed) (bound ? optionalDependencies : dependencies)[name] = `file:${tarball}`;
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, version: '1.0.0', type: 'module', dependencies, optionalDependencies }),
  );
  const npm = process.env.npm_execpath ?? '';
  const [command, ...first] = npm.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  const args = [...first, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', ...flags];
  try {
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe', shell: process.platform === 'win32' && first.length === 0 });
  } catch (error) {
    throw new Refusal(`pack:check: npm install of the tarballs failed:\n${error.stdout}${error.stderr}`);
  }
}

function checkContents(project, packed) {
  const wrong = [];
  for (const { name } of packed) {
    const folder = join(project, 'node_modules', name);
    if (!existsSync(folder)) continue;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.parentPath.includes(join(folder, 'node_modules'))) continue;
      const path = join(entry.parentPath, entry.name);
      const inside = relative(join(project, 'node_modules'), path);
      if (/\.(test|test-d|fuzz|bench)\.|[\\/]testing[\\/]|\.tsbuildinfo$/.test(inside)) wrong.push(`${inside} is for tests or for the build`);
      if (readFileSync(path, 'utf8').includes(root)) wrong.push(`${inside} holds a path of this machine`);
    }
    for (const file of ['README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts']) if (!existsSync(join(folder, file))) wrong.push(`${name} has no ${file}`);
  }
  check(
    wrong.length === 0,
    `tarballs hold what they should, and no tests, no build state, no path of this machine${wrong.map((one) => `\n  ${one}`).join('')}`,
  );
}

function checkTypes(project) {
  for (const [resolution, module] of [
    ['node16', 'node16'],
    ['bundler', 'esnext'],
  ]) {
    const options = { strict: true, noEmit: true, target: 'es2022', module, moduleResolution: resolution, types: ['node'] };
    const config = { compilerOptions: { ...options, typeRoots: [join(root, 'node_modules/@types')], skipLibCheck: false }, files: ['typed.ts'] };
    writeFileSync(join(project, `tsconfig.${resolution}.json`), JSON.stringify(config));
    node(project, join(root, 'node_modules/typescript/bin/tsc'), '-p', `tsconfig.${resolution}.json`);
    check(true, `a TypeScript project with moduleResolution ${resolution} compiles against them, their own declarations checked too`);
  }
}

await orExplain(async () => {
  await prepare('.');
  const temp = mkdtempSync(join(tmpdir(), 'millrace-pack-check-'));
  try {
    const packed = packAll(join(temp, 'tarballs'));
    const project = join(temp, 'consumer');
    install(project, packed);
    checkContents(project, packed);
    writeFileSync(join(project, 'topology.mjs'), TOPOLOGY);
    writeFileSync(join(project, 'main.mjs'), MAIN);
    writeFileSync(join(project, 'typed.ts'), TYPED);
    const said = node(project, 'main.mjs');
    check(said.startsWith('running\n') && said.includes('words') && said.includes('lengths'), 'a topology is described, runs on threads, and stops');
    check(
      node(project, '-e', "process.stdout.write(typeof require('millrace').topology)") === 'function',
      `require('millrace') works on Node ${process.versions.node}`,
    );
    const command = join(project, 'node_modules/.bin/millrace');
    check(
      existsSync(command) && node(project, 'node_modules/millrace/dist/bin.js', 'describe', 'topology.mjs') === wordLengthsText(said),
      'npx millrace is there, and describes a topology',
    );
    checkTypes(project);

    const elsewhere = join(temp, 'elsewhere');
    install(elsewhere, packed, ['--os=win32', '--cpu=x64']);
    const bound = packed.filter((one) => one.bound).map((one) => one.name);
    const left = [...bound, '@nxtedition/rocksdb'].filter((name) => existsSync(join(elsewhere, 'node_modules', name)));
    check(
      bound.length > 0 && left.length === 0,
      `on another system npm leaves ${bound.join(', ')} out, and installs the rest${left.map((one) => `\n  ${one} is there`).join('')}`,
    );
    check(existsSync(join(elsewhere, 'node_modules/@millrace/state-lmdb')), 'the portable engine is there');
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
});
