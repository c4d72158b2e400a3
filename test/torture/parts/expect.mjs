// What several parts ask of their outputs: each input counted so many times, sums that follow each other, a changelog that says the same.

export const PARTITIONS = 4;
/** Event time begins an hour ago: a broker's retention counts from the records' own times. */
export const START_MS = Date.now() - 3_600_000;

/** Each id of `wanted` is there `times` times (at-least-once: at least), and nothing else is. */
export function countedOnce({ output, records, wanted, times, exactlyOnce, find, idOf = (value) => `${value.g}/${value.s}` }) {
  const places = new Map();
  for (const { key, value, at } of records) {
    const id = idOf(value);
    places.set(id, [...(places.get(id) ?? []), `${key.slice(0, 9)} ${at}`]);
  }
  find(
    `${output}: in the input and not there`,
    [...wanted].filter((id) => (places.get(id)?.length ?? 0) < times),
  );
  find(
    `${output}: there and not in the input`,
    [...places.keys()].filter((id) => !wanted.has(id)),
  );
  if (!exactlyOnce) return;
  find(
    `${output}: there more often than it should`,
    [...places].filter(([, found]) => found.length > times).map(([id, found]) => `${id}: ${found.join(' and ')}`),
  );
}

/** Per key, every output is what `next(the one before, this)` says, without gap or repeat; the changelog folded equals the last output of each key. */
export function sumsFollow({ output, records, next, changelog, keyOf = (key) => key, find }) {
  const last = new Map();
  const jumps = [];
  for (const { key, value, at } of records) {
    const before = last.get(key);
    for (const [field, due] of Object.entries(next(before, value)))
      if (value[field] !== due) jumps.push(`${key.slice(0, 9)} ${field}: ${due} was due, ${value[field]} is there (${at})`);
    last.set(key, value);
  }
  find(`${output}: sums that do not follow each other`, jumps);
  const folded = new Map(changelog.map(({ key, value }) => [keyOf(key), value]));
  const differences = [...last]
    .filter(([key, value]) => JSON.stringify(folded.get(key)) !== JSON.stringify(value))
    .map(([key, value]) => `${key}: ${JSON.stringify(folded.get(key))} is not ${JSON.stringify(value)}`);
  if (folded.size !== last.size) differences.push(`${folded.size} keys, outputs have ${last.size}`);
  find(`${output}: the changelog`, differences);
}
