// Writes the results of a run into docs/broker-benchmarks.md, between its marks.
// Owns: the shape of those tables.  Never: measures, judges.
import { readFileSync, writeFileSync } from 'node:fs';

const MARKS = { begin: '<!-- results: written by npm run bench -- broker --write -->', end: '<!-- end of results -->' };

/** `results` are the objects that were printed; `load` is the system's load average at the start. */
export function writeTables(file, results, { date, seconds, load }) {
  const text = readFileSync(file, 'utf8');
  const [before, after] = [text.indexOf(MARKS.begin), text.indexOf(MARKS.end)];
  if (before < 0 || after < before) throw new Error(`${file} has no marks for the results`);
  const { cpu, cores, node } = results[0];
  const head = `## The newest run\n\n${date}, ${cores} cores (${cpu}), Node ${node.slice(1)}, load average ${load.toFixed(2)} at the start, ${seconds} s in all.\n`;
  const parts = [head, throughput(results), latency(results), idle(results), start(results)].filter((part) => part !== '');
  writeFileSync(file, `${text.slice(0, before)}${MARKS.begin}\n\n${parts.join('\n')}\n${text.slice(after)}`);
}

const of = (results, broker, name) => results.find((result) => result.broker === broker && result.case === name);
const row = (cells) => `| ${cells.map((cell) => cell ?? '–').join(' | ')} |\n`;
const table = (head, rows) => (rows.length === 0 ? '' : row(head) + row(head.map(() => '---')) + rows.map(row).join(''));
const millions = (count) => (count === undefined ? undefined : (count / 1e6).toFixed(2));
/** Ours divided by Apache's, of what costs: below 1, ours is cheaper. */
const share = (ours, theirs) => (ours === undefined || theirs === undefined || theirs === 0 ? undefined : (ours / theirs).toFixed(2));
const range = (result) => result?.cpuSecondsPerMillionRange.map((cost) => cost.toFixed(2)).join('-');

function throughput(results) {
  const names = results.filter((result) => result.broker === 'millrace' && result.cpuSecondsPerMillion !== undefined).map((result) => result.case);
  const head = ['case', 'ours: M records/s', 'CPU-s per M', "Apache's: M records/s", 'CPU-s per M', 'share of CPU', 'memory now (highest), ours', "Apache's"];
  const rows = names.map((name) => {
    const [ours, theirs] = [of(results, 'millrace', name), of(results, 'kafka', name)];
    const cost = share(ours.cpuSecondsPerMillion, theirs?.cpuSecondsPerMillion);
    return [name, millions(ours.recordsPerSecond), range(ours), millions(theirs?.recordsPerSecond), range(theirs), cost, memory(ours), memory(theirs)];
  });
  return table(head, rows);
}

const memory = (result) => (result?.memory === undefined ? undefined : `${result.memory.now} (${result.memory.peak}) MiB`);

function latency(results) {
  const both = [of(results, 'millrace', 'end-to-end latency'), of(results, 'kafka', 'end-to-end latency')].filter((result) => result !== undefined);
  const head = ['end to end, 10,000 records/s', 'p50', 'p95', 'p99', 'p99.9', "broker's cores"];
  const rows = both.map((one) => [called(one), ...[one.p50Ms, one.p95Ms, one.p99Ms, one.p999Ms].map((ms) => `${ms} ms`), one.brokerCores]);
  return table(head, rows);
}

const called = ({ broker }) => (broker === 'millrace' ? 'ours' : "Apache's");

function idle(results) {
  const both = [of(results, 'millrace', 'idle'), of(results, 'kafka', 'idle')].filter((result) => result !== undefined);
  const head = ['1,000 topics × 4, idle', 'of a core', 'memory now (highest)', 'creating them'];
  const rows = both.map((one) => [called(one), `${(one.coreShare * 100).toFixed(2)} %`, memory(one), `${one.createSeconds} s`]);
  return table(head, rows);
}

function start(results) {
  const found = of(results, 'millrace', 'start with 1 GiB');
  if (found === undefined) return '';
  return table(
    ['start with 1 GiB', 'empty directory', 'after a clean stop', 'after SIGKILL'],
    [['ours', ...[found.emptyMs, found.cleanMs, found.afterKillMs].map((ms) => `${ms} ms`)]],
  );
}
