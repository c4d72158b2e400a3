import { expect, test } from 'vitest';
import { ERROR_CODES, isRetriableError, kafkaError, kafkaErrorName } from './errors-table.ts';

test('no two errors share a number', () => {
  const codes = Object.values(ERROR_CODES);
  expect(new Set(codes).size).toBe(codes.length);
});

test('numbers and names agree with Kafka’s', () => {
  expect(kafkaErrorName(0)).toBe('NONE');
  expect(kafkaErrorName(-1)).toBe('UNKNOWN_SERVER_ERROR');
  expect(kafkaErrorName(6)).toBe('NOT_LEADER_OR_FOLLOWER');
  expect(kafkaErrorName(45)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  expect(kafkaErrorName(90)).toBe('PRODUCER_FENCED');
  expect(kafkaErrorName(120)).toBe('TRANSACTION_ABORTABLE');
});

test('what Kafka calls retriable is, what it does not is not', () => {
  const retriable = [2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 51, 56, 70, 71, 72, 74, 75, 78, 88, 89, 100, 103, 106];
  const final = [
    -1, 0, 1, 10, 12, 17, 18, 21, 22, 23, 24, 25, 26, 27, 29, 32, 35, 36, 42, 45, 46, 47, 48, 49, 50, 52, 55, 59, 68, 69, 76, 79, 82, 87, 90, 120, 129,
  ];
  expect(retriable.filter((code) => !isRetriableError(code))).toEqual([]);
  expect(final.filter(isRetriableError)).toEqual([]);
});

test('a code of the future is named after its number and not retried', () => {
  expect(kafkaError(4242)).toEqual({ code: 4242, name: 'ERROR_4242', retriable: false });
});
