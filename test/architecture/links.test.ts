// Links between pages: one that leads nowhere is worse than none. Addresses on the web are not asked.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './source-tree.ts';

/** Every page of the repository, from the root; not what is installed, built or hidden. */
function pages(folder = root): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'dist' ? [] : pages(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** `](target)` outside of code blocks; a target may carry an anchor. */
function links(text: string): readonly { readonly target: string; readonly line: number }[] {
  let inCode = false;
  return text.split('\n').flatMap((line, at) => {
    if (line.trimStart().startsWith('```')) inCode = !inCode;
    if (inCode) return [];
    return [...line.replaceAll(/`[^`]*`(?!\])/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => ({ target: target as string, line: at + 1 }));
  });
}

/** As the web shows them: lower case, words joined by dashes, punctuation gone. */
function anchors(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => heading as string);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('links between pages and into the sources lead somewhere', () => {
  const wrong: string[] = [];
  for (const page of pages()) {
    const text = readFileSync(page, 'utf8');
    for (const { target, line } of links(text)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path, anchor] = target.split('#') as [string, string | undefined];
      const meant = path === '' ? page : join(dirname(page), decodeURIComponent(path));
      const there = existsSync(meant) && !relative(root, meant).startsWith('..');
      const heading = anchor === undefined || !there || statSync(meant).isDirectory() || anchors(readFileSync(meant, 'utf8')).has(anchor);
      if (!there || !heading) wrong.push(`${relative(root, page)}:${line} links to ${target}`);
    }
  }
  expect(wrong, 'Mend the path, or write the page.').toEqual([]);
});

test('a decision that a page or a file names by number is there', () => {
  const numbers = new Set(readdirSync(join(root, 'docs/decisions')).map((name) => name.slice(0, 4)));
  const wrong = pages().flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\bdecision(?: note)? (\d{4})\b/g)]
      .filter(([, number]) => !numbers.has(number as string))
      .map(([words]) => `${relative(root, page)} names ${words}`),
  );
  expect(wrong, 'Write the note in docs/decisions, or name the right one.').toEqual([]);
});

test('every package has a page that says what it is for', () => {
  const packages = readdirSync(join(root, 'packages')).filter((name) => existsSync(join(root, 'packages', name, 'package.json')));
  expect(packages.filter((name) => !existsSync(join(root, 'packages', name, 'README.md')))).toEqual([]);
});

test('no manifest of the workspace names a platform', () => {
  const wrong = ['packages', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .map((name) => `${folder}/${name}/package.json`)
      .filter((path) => existsSync(join(root, path)) && /^ {2}"(os|cpu|libc)":/m.test(readFileSync(join(root, path), 'utf8'))),
  );
  expect(wrong, 'npm ci of a clone would end with EBADPLATFORM elsewhere: put it under publishConfig (docs/decisions/0030).').toEqual([]);
});
