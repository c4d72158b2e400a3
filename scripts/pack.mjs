// npm run pack -- FOLDER: one tarball of every package, as it would be published.
// Owns: what goes in (sources, what was built from them, README, LICENSE) and what is said of platforms.  Never: publishes.
// `publishConfig.os`, `cpu` and `libc` become fields of the packed manifest only: in a workspace they would stop npm everywhere else.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { orExplain, prepare, Refusal, root } from './prepare.mjs';

const PLATFORM_FIELDS = ['os', 'cpu', 'libc'];
const FOR_TESTS = /\.(test|test-d|fuzz|bench)\.ts$|(^|[\\/])testing[\\/]/;
const BUILT = ['.js', '.js.map', '.d.ts', '.d.ts.map'];

/** Packs every package into `target` and returns, in order of their folders, name, tarball and whether it is bound to a platform. */
export function packAll(target) {
  mkdirSync(target, { recursive: true });
  const stage = mkdtempSync(join(tmpdir(), 'millrace-pack-'));
  try {
    return readdirSync(join(root, 'packages'))
      .filter((folder) => existsSync(join(root, 'packages', folder, 'package.json')))
      .sort()
      .map((folder) => packOne(folder, join(stage, folder), target));
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function packOne(folder, stage, target) {
  const from = join(root, 'packages', folder);
  const { scripts: _, publishConfig = {}, ...manifest } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
  for (const field of PLATFORM_FIELDS) if (publishConfig[field] !== undefined) manifest[field] = publishConfig[field];
  mkdirSync(stage);
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(root, 'LICENSE'), join(stage, 'LICENSE'));
  cpSync(join(from, 'README.md'), join(stage, 'README.md'));
  for (const entry of readdirSync(join(from, 'src'), { recursive: true, withFileTypes: true })) {
    const source = relative(join(from, 'src'), join(entry.parentPath, entry.name));
    if (!entry.isFile() || FOR_TESTS.test(source)) continue;
    copy(join(from, 'src', source), join(stage, 'src', source));
    // By source: what an earlier build left of files that are gone stays behind.
    for (const end of BUILT) copy(join(from, 'dist', source.replace(/\.ts$/, end)), join(stage, 'dist', source.replace(/\.ts$/, end)));
  }
  const npm = process.env.npm_execpath;
  const [command, ...first] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  const [packed] = JSON.parse(
    execFileSync(command, [...first, 'pack', '--json', '--ignore-scripts', '--pack-destination', resolve(target)], {
      cwd: stage,
      encoding: 'utf8',
      shell: process.platform === 'win32' && first.length === 0,
    }),
  );
  return { name: manifest.name, tarball: join(resolve(target), packed.filename), bound: manifest.os !== undefined };
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await orExplain(async () => {
    const target = process.argv[2];
    if (target === undefined) throw new Refusal('Say where to: npm run pack -- FOLDER');
    await prepare('.');
    for (const { name, tarball } of packAll(target)) process.stdout.write(`${name} ${tarball}\n`);
  });
}
