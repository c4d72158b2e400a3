// The client against a real Apache Kafka: the same cases as against the embedded broker, transaction.version 2 included.
import { CLIENT_CONFORMANCE } from '@millrace/client';
import { nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { describe, test } from 'vitest';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, log: silentLogger };
const connection = { brokers: [process.env.MILLRACE_TEST_KAFKA ?? ''], clientId: 'conformance', connectionTimeoutMs: 10_000, requestTimeoutMs: 20_000 };

describe.skipIf(process.env.MILLRACE_TEST_KAFKA === undefined)('client against Apache Kafka', () => {
  for (const each of CLIENT_CONFORMANCE) test(each.name, () => each.run(connection, ports));
});
