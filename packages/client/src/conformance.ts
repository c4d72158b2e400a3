// What every log behind the client ports must do: run against the embedded broker each day, against Apache Kafka when it is there.
// Owns: the list; each case makes topics and ids of its own, so that they may run side by side and again.  Never: imports a test runner, knows a broker.
import type { ConformanceCase } from './conformance/bench.ts';
import { GROUP_CASES } from './conformance/groups.ts';
import { READING_CASES } from './conformance/reading.ts';
import { TOPIC_CASES } from './conformance/topics.ts';
import { TRANSACTION_CASES } from './conformance/transactions.ts';

export const CLIENT_CONFORMANCE: readonly ConformanceCase[] = [...TOPIC_CASES, ...READING_CASES, ...TRANSACTION_CASES, ...GROUP_CASES];
