// The table: what each API needs. One row per API that this broker serves (a test holds it to that); the rows lie in files by subject.
// Source: KIP-11 and its followers; kafka.server.KafkaApis and ControllerApis of 4.x.
import { CLUSTER_ROWS } from './cluster-rows.ts';
import { CONSUMER_GROUP_ROWS } from './consumer-group-rows.ts';
import { GROUP_ROWS } from './group-rows.ts';
import type { Row } from './guard.ts';
import { LOG_ROWS } from './log-rows.ts';
import { TOPIC_ROWS } from './topic-rows.ts';
import { TRANSACTION_ROWS } from './transaction-rows.ts';
import { UPKEEP_ROWS } from './upkeep-rows.ts';

export const REQUIREMENTS: readonly Row[] = [
  ...LOG_ROWS,
  ...GROUP_ROWS,
  ...CONSUMER_GROUP_ROWS,
  ...TRANSACTION_ROWS,
  ...TOPIC_ROWS,
  ...CLUSTER_ROWS,
  ...UPKEEP_ROWS,
];
