import { MillraceError, noHeaders } from '@millrace/core';
import { deadLetter, type ErrorPolicy, type Failure } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { decideFailure, taskFailed } from './error-policy.ts';

const failureOf = (error: unknown): Failure => ({
  stage: 'process',
  error,
  node: 'map',
  taskId: '0_0',
  timestamp: 0,
  headers: noHeaders,
  source: { topic: 'words', partition: 0, offset: 7 },
  rawKey: null,
  rawValue: null,
  deliveries: 1,
});
function told(error: unknown, policy: ErrorPolicy = 'fail'): string {
  const failure = failureOf(error);
  return taskFailed(failure, decideFailure(policy, failure).fault).message;
}

describe('a policy decides', () => {
  test('as data and as a function', () => {
    expect(decideFailure('skip', failureOf(new Error('a')))).toEqual({ decision: 'skip' });
    expect(decideFailure(() => 'fail', failureOf(new Error('a')))).toEqual({ decision: 'fail' });
    expect(decideFailure(() => deadLetter('dlq'), failureOf(new Error('a'))).decision).toEqual(deadLetter('dlq'));
  });

  test('one that throws or answers nonsense means fail, and the message says so beside the failure itself', () => {
    const throws = told(new Error('the record is odd'), () => {
      throw new Error('and so is the policy');
    });
    expect(throws).toContain('record words-0@7 failed in map: the record is odd, and its error policy threw: and so is the policy. Nothing of it');
    expect(told(new Error('odd'), (() => 'ignore') as never)).toContain(`returned "ignore", which is none of 'fail', 'skip'`);
    expect(told(new Error('odd'), (() => undefined) as never)).toContain('returned undefined');
    expect(told(new Error('odd'), (async () => 'skip') as never)).toContain('returned a promise');
  });
});

test('one full stop, and never nothing', () => {
  expect(told(new MillraceError('ERR_PROCESS', 'Return [] to leave it out.'))).toContain('Return [] to leave it out. Nothing of it');
  expect(told(undefined)).toContain('failed in map: undefined was thrown. Nothing');
  expect(told('text')).toContain('failed in map: text. Nothing');
});
