// Reads the data directory of a stopped broker file by file and says what is wrong, in sentences. Statements:
// A1 every file is whole batches with right checksums, offsets dense (a compacted topic: ascending), leader epochs never falling.
// A2 what was acknowledged lies where the answer said.  A3 no value lies in the log twice.  A4 a transaction's records are visible all or
// none, as the answer said.  A5 an idempotent producer's sequences have no gap.  A6 a table holds the newest acknowledged value of each key,
// or a newer one.  A7 topics exist exactly as acknowledged.
import { join } from 'node:path';
import { batchesOf, topicsIn } from './segment-reader.mjs';

/** `loads`: { dense, short, tables, transactional, churn }. Returns findings. */
export function audit(dataDir, { dense, short, tables, transactional, churn }) {
  const findings = [];
  let topics;
  try {
    topics = topicsIn(dataDir);
    for (const load of dense) auditDense(load, readTopic(topics, load.topic, findings, true), findings);
    for (const load of short) auditDense(load, readTopic(topics, load.topic, findings, true), findings, true);
    for (const load of tables) auditTable(load, readTopic(topics, load.topic, findings, false), findings);
    for (const load of transactional) auditTransactions(load, readTopic(topics, load.topic, findings, true), findings);
    auditTopics(churn, topics, findings);
  } catch (error) {
    findings.push(`audit: ${error.message}`);
  }
  return findings;
}

/** Partition → its first offset, values → places (records of ended transactions only where visible), transactions' ends. Checks A1 and A5. */
function readTopic(topics, name, findings, isDense) {
  const topic = topics.get(name);
  if (topic === undefined) throw new Error(`topic ${name} is gone`);
  const seen = { firstOffsets: [], places: new Map(), newest: new Map(), hidden: new Set(), open: new Set() };
  for (let partition = 0; partition < topic.partitions; partition++) readPartition(join(topic.folder, String(partition)), partition, seen, findings, isDense);
  return seen;
}

function readPartition(folder, partition, seen, findings, isDense) {
  let next;
  let epoch = -1;
  const sequences = new Map();
  const open = new Map(); // producer id → records of its open transaction
  for (const batch of batchesOf(folder)) {
    const where = `${folder} offset ${batch.baseOffset}`;
    if (next === undefined) seen.firstOffsets[partition] = batch.baseOffset;
    else if (isDense ? batch.baseOffset !== next : batch.baseOffset < next) findings.push(`A1 ${where}: follows ${next - 1}`);
    if (isDense && batch.lastOffset - batch.baseOffset + 1 !== batch.count) findings.push(`A1 ${where}: ${batch.count} records up to ${batch.lastOffset}`);
    if (batch.leaderEpoch < epoch) findings.push(`A1 ${where}: leader epoch ${batch.leaderEpoch} after ${epoch}`);
    next = batch.lastOffset + 1;
    epoch = batch.leaderEpoch;
    if (batch.control) {
      const [{ commit }] = batch.records;
      if (!commit) for (const value of open.get(batch.producerId) ?? []) seen.hidden.add(value);
      open.delete(batch.producerId);
      continue;
    }
    if (isDense && batch.baseSequence >= 0) checkSequence(batch, sequences, where, findings);
    for (const { offset, key, value } of batch.records) {
      if (seen.places.has(value)) findings.push(`A3 ${value} lies at ${seen.places.get(value).offset} and at ${offset} of partition ${partition}`);
      seen.places.set(value, { partition, offset });
      if (key !== null) seen.newest.set(key, value);
      if (batch.transactional) open.set(batch.producerId, [...(open.get(batch.producerId) ?? []), value]);
    }
  }
  for (const values of open.values()) for (const value of values) seen.open.add(value);
}

function checkSequence(batch, sequences, where, findings) {
  const id = `${batch.producerId}/${batch.producerEpoch}`;
  const expected = sequences.get(id);
  if (expected !== undefined && batch.baseSequence !== expected) findings.push(`A5 ${where}: sequence ${batch.baseSequence} where ${expected} follows`);
  sequences.set(id, (batch.baseSequence + batch.count) % 2 ** 31);
}

function auditDense(load, seen, findings, mayBeDeleted = false) {
  if (!mayBeDeleted)
    for (const [partition, offset] of seen.firstOffsets.entries())
      if (offset !== undefined && offset !== 0) findings.push(`A1 ${load.topic}-${partition} begins at ${offset}`);
  let lost = 0;
  for (const [value, { partition, offset }] of load.acknowledged) {
    if (mayBeDeleted && offset < (seen.firstOffsets[partition] ?? Number.POSITIVE_INFINITY)) continue;
    const place = seen.places.get(value);
    if (place?.offset === offset && place.partition === partition) continue;
    if (++lost <= 3)
      findings.push(
        `A2 ${value.slice(0, 24)} was acknowledged at ${load.topic}-${partition}@${offset}, ${place === undefined ? 'is nowhere' : `lies at ${place.partition}@${place.offset}`}`,
      );
  }
  if (lost > 3) findings.push(`A2 ${load.topic}: ${lost} acknowledged records in all are not where they were`);
}

function auditTable(load, seen, findings) {
  for (const [key, { value, number }] of load.acknowledged) {
    const newest = seen.newest.get(key);
    if (newest === undefined || Number(newest.split('-')[1]) < number)
      findings.push(`A6 ${key}: ${value.slice(0, 20)} was acknowledged, the table holds ${newest?.slice(0, 20)}`);
  }
}

function auditTransactions(load, seen, findings) {
  for (const { number, outcome, values } of load.transactions) {
    if (outcome === undefined) continue; // under way
    const name = `${load.name}, transaction ${number}`;
    const visible = values.filter(({ value }) => seen.places.has(value) && !seen.hidden.has(value) && !seen.open.has(value));
    const open = values.filter(({ value }) => seen.open.has(value));
    if (outcome === 'committed') {
      if (visible.length !== values.length)
        findings.push(`A4 ${name} was committed: ${visible.length} of ${values.length} records are visible, ${open.length} undecided`);
      for (const { value, partition, offset } of visible) {
        const place = seen.places.get(value);
        if (place.partition !== partition || place.offset !== offset)
          findings.push(`A2 ${value.slice(0, 24)} was acknowledged at ${partition}@${offset}, lies at ${place.partition}@${place.offset}`);
      }
    } else if (outcome === 'aborted' && visible.length > 0) findings.push(`A4 ${name} was aborted: ${visible.length} of ${values.length} records are visible`);
    else if (outcome === 'unknown' && visible.length > 0 && visible.length !== values.length)
      findings.push(`A4 ${name} is torn: ${visible.length} of ${values.length} records are visible, ${open.length} undecided`);
  }
}

/** The number of the newest transaction with an offset whose records are visible: what the group's offset must be. */
export function newestVisibleOffset(dataDir, load) {
  const findings = [];
  const seen = readTopic(topicsIn(dataDir), load.topic, findings, true);
  const visible = load.transactions.filter(({ withOffset, values }) => withOffset && seen.places.has(values[0].value) && !seen.hidden.has(values[0].value));
  return visible.at(-1)?.number ?? -1;
}

function auditTopics(churn, topics, findings) {
  for (const name of churn.live) {
    const topic = topics.get(name);
    if (topic === undefined) findings.push(`A7 topic ${name} was created, and is gone`);
    else if (![...batchesOf(join(topic.folder, '1'))].some(({ records }) => records[0].value === name)) findings.push(`A7 the record of ${name} is gone`);
  }
  for (const name of churn.deleted) if (topics.has(name)) findings.push(`A7 topic ${name} was deleted, and is there`);
}
