// What must be true of the topics afterwards, read under read_committed with nothing of the application in between.
// V1 what was acknowledged to a generator is in the input topic once, and nothing is there that was never sent (the brokers' and the generator's part).
// V2 the outputs are what a naive computation over the input topics says (each part has its own; at-least-once: at least that).
// V3 committed offsets stand at the ends of all input partitions.

const SHOWN = 5;

/** All that is wrong, as sentences; empty when all is right. */
export async function verify(reader, { parts, generators, exactlyOnce }) {
  const findings = [];
  const find = (text, cases) => {
    if (cases.length > 0) findings.push(`${text}: ${cases.length}, such as ${cases.slice(0, SHOWN).join(' | ')}`);
  };
  const read = once((topic) => reader.read(topic));
  for (const topic of new Set(generators.map((one) => one.topic))) {
    const own = generators.filter((one) => one.topic === topic);
    const there = (await read(topic)).filter(({ value }) => value !== null).map(({ value }) => `${value.g}/${value.s}`);
    const ids = new Set(there);
    const sent = new Set(own.flatMap((one) => [...one.sent]));
    find(
      `${topic}: acknowledged and not there`,
      own.flatMap((one) => [...one.acknowledged]).filter((id) => !ids.has(id)),
    );
    find(
      `${topic}: there and never sent`,
      [...ids].filter((id) => !sent.has(id)),
    );
    if (ids.size !== there.length)
      find(
        `${topic}: the input itself is there twice`,
        there.filter((id, at) => there.indexOf(id) !== at),
      );
  }
  for (const part of parts) await part.verify({ read, find, exactlyOnce });
  find(
    'not at the log end',
    [...(await reader.lag())].map(([partition, behind]) => `${partition} by ${behind}`),
  );
  return findings;
}

function once(read) {
  const known = new Map();
  return (topic) => {
    if (!known.has(topic)) known.set(topic, read(topic));
    return known.get(topic);
  };
}
