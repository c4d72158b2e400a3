import { MillraceError, seededChance, virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import { Call, type Outcome } from './call.ts';
import { callSettings } from './call-settings.ts';

async function microtasks(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

function rig(options: Omit<Parameters<typeof callSettings>[0], 'concurrency'>, attempt: (attempt: number, signal: AbortSignal) => unknown) {
  const time = virtualTime();
  const outcomes: Outcome[] = [];
  const strays: string[] = [];
  const call: Call = new Call({
    settings: callSettings({ concurrency: 1, ...options }, 'op'),
    timers: time.timers,
    chance: seededChance(1),
    node: 'op',
    attempt,
    again: () => call.begin(),
    done: (outcome) => void outcomes.push(outcome),
    strays() {
      strays.push('out');
      return () => void strays.push('home');
    },
  });
  return { time, outcomes, call, strays };
}

test('a plain value, a promise and a throw are outcomes alike', async () => {
  for (const [attempt, outcome] of [
    [() => 7, { ok: true, answer: 7 }],
    [() => Promise.resolve(7), { ok: true, answer: 7 }],
    [
      () => {
        throw new Error('no');
      },
      { ok: false, error: new Error('no') },
    ],
  ] as const) {
    const { call, outcomes } = rig({}, attempt);
    call.begin();
    await microtasks();
    expect(outcomes).toEqual([outcome]);
  }
});

test('an attempt past its time is aborted and counts as failed; what it says later is not heard', async () => {
  let answer: (value: number) => void = () => undefined;
  let signal: AbortSignal | undefined;
  const { call, outcomes, time, strays } = rig({ timeout: 50 }, (_attempt, given) => {
    signal = given;
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  call.begin();
  await time.advance(49);
  expect(outcomes).toEqual([]);
  await time.advance(1);
  expect(outcomes).toHaveLength(1);
  expect(outcomes[0]).toMatchObject({ ok: false, error: { code: 'ERR_CALL_TIMEOUT' } });
  expect(signal?.aborted).toBe(true);
  expect(strays).toEqual(['out']);
  answer(1);
  await microtasks();
  expect(outcomes).toHaveLength(1);
  expect(strays).toEqual(['out', 'home']);
});

test('attempts follow each other with growing pauses, until one succeeds, they are used up, or retryIf refuses', async () => {
  const at: number[] = [];
  const retry = { attempts: 4, backoff: 100, backoffMax: 250 };
  const failing = rig({ retry }, () => {
    at.push(failing.time.clock.monotonicMs());
    throw new Error('no');
  });
  failing.call.begin();
  await failing.time.advance(2_000);
  expect(failing.outcomes).toHaveLength(1);
  const pauses = at.slice(1).map((time, index) => time - (at[index] as number));
  expect(pauses).toHaveLength(3);
  for (const [index, plain] of [100, 200, 250].entries()) {
    expect(pauses[index]).toBeGreaterThanOrEqual(plain * 0.8);
    expect(pauses[index]).toBeLessThanOrEqual(plain * 1.2 + 1);
  }

  const second = rig({ retry }, (attempt) => (attempt < 2 ? Promise.reject(new Error('no')) : 'yes'));
  second.call.begin();
  await microtasks();
  await second.time.advance(200);
  expect(second.outcomes).toEqual([{ ok: true, answer: 'yes' }]);

  const hopeless = rig({ retry: { attempts: 4, retryIf: () => false } }, () => Promise.reject(new Error('no')));
  hopeless.call.begin();
  await microtasks();
  expect(hopeless.outcomes).toHaveLength(1);
});

test('an abandoned call aborts its signal and says nothing more', async () => {
  let signal: AbortSignal | undefined;
  const { call, outcomes, time } = rig({ timeout: 50 }, (_attempt, given) => {
    signal = given;
    return new Promise(() => undefined);
  });
  call.begin();
  call.abandon(new MillraceError('ERR_ABORTED', 'gone'));
  expect(signal?.reason).toMatchObject({ code: 'ERR_ABORTED' });
  await time.advance(1_000);
  expect(outcomes).toEqual([]);
});
