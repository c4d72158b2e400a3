// A vitest reporter that writes what passed into the tables of docs/interop.md (the file named by MILLRACE_INTEROP_TABLE).
// A row per client, a column per scenario; what a client does not have stays empty. Text outside the marks is left alone.
import { readFileSync, writeFileSync } from 'node:fs';

const MARKS = { begin: '<!-- results: written by npm run test:interop -- --write -->', end: '<!-- end of results -->' };
const SIGNS = { passed: '✓', failed: '✗', skipped: 'skipped' };

export default class InteropTable {
  onTestRunEnd(modules) {
    const clients = new Map();
    for (const module of modules)
      for (const test of module.children.allTests()) {
        const client = test.parent.type === 'suite' ? test.parent.name : 'others';
        if (!clients.has(client)) clients.set(client, new Map());
        clients.get(client).set(test.name, SIGNS[test.result().state] ?? '');
      }
    const file = process.env.MILLRACE_INTEROP_TABLE;
    const text = readFileSync(file, 'utf8');
    const [before, after] = [text.indexOf(MARKS.begin), text.indexOf(MARKS.end)];
    if (before < 0 || after < before) throw new Error(`${file} has no marks for the results`);
    writeFileSync(file, `${text.slice(0, before)}${MARKS.begin}\n\n${tables(clients)}\n${text.slice(after)}`);
  }
}

/** More than a client and its own second round through the closed door. */
const SHARED_FROM = 3;

/** Scenarios that several clients share make one table; the rest is listed per client. */
export function tables(clients) {
  const uses = new Map();
  for (const results of clients.values()) for (const name of results.keys()) uses.set(name, (uses.get(name) ?? 0) + 1);
  const shared = [...uses].filter(([, count]) => count >= SHARED_FROM).map(([name]) => name);
  const inTable = [...clients].filter(([, results]) => [...results.keys()].some((name) => shared.includes(name)));
  const rows = [
    ['Client', ...shared],
    ['---', ...shared.map(() => '---')],
    ...inTable.map(([client, results]) => [client, ...shared.map((name) => results.get(name) ?? '')]),
  ];
  const table = rows.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
  const lists = [...clients].map(([client, results]) => {
    const own = [...results].filter(([name]) => !shared.includes(name));
    return own.length === 0
      ? ''
      : `\n**${client}**${inTable.some(([name]) => name === client) ? ' also' : ''}: ${own.map(([name, sign]) => `${name} ${sign}`).join('; ')}\n`;
  });
  const run = `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}: ✓ passed, ✗ failed, skipped for a reason that the run names.\n`;
  return `${run}\n${table}${lists.join('')}`;
}
