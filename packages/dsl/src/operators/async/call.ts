// One call to the outside world: attempts, each with its time limit and abort signal, pauses between them.
// Owns: the attempt under way, its timer, its controller.  Never: touches stores or the record's graph; what came of it is told by `done`.
// C1 `done` is told once, or never after `abandon`.
import { backoffMs, type Chance, MillraceError, type Timer, type Timers } from '@millrace/core';
import type { CallSettings } from './call-settings.ts';

/** What came of a call. */
export type Outcome = { readonly ok: true; readonly answer: unknown } | { readonly ok: false; readonly error: unknown };

export interface CallParts {
  readonly settings: CallSettings;
  readonly timers: Timers;
  readonly chance: Chance;
  /** Node name, for messages. */
  readonly node: string;
  /** Makes attempt `attempt` (1, 2, …); what it throws, or rejects with, fails the attempt. */
  readonly attempt: (attempt: number, signal: AbortSignal) => PromiseLike<unknown> | unknown;
  /** Between two attempts it waits for a turn of the task: `again` is called when the pause is over, and the owner calls `begin` in its turn. */
  readonly again: () => void;
  readonly done: (outcome: Outcome) => void;
  /** An attempt was given up for its time and goes on all the same; the function it gives back is called when it has come to its end. */
  readonly strays: () => () => void;
}

export class Call {
  readonly #parts: CallParts;
  #attempt = 0;
  #timer: Timer | undefined;
  #controller: AbortController | undefined;
  #over = false;

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  /** True while somebody is asked and has not answered. */
  get underWay(): boolean {
    return this.#controller !== undefined && !this.#over;
  }

  /** Makes the next attempt. In a turn of the task, since the attempt may read stores. */
  begin(): void {
    if (this.#over) return;
    const { settings, timers, node } = this.#parts;
    const attempt = ++this.#attempt;
    const controller = new AbortController();
    this.#controller = controller;
    let home: (() => void) | undefined;
    const over = (): void => {
      home?.();
    };
    const late = (): void => {
      const error = new MillraceError(
        'ERR_CALL_TIMEOUT',
        `a call of ${node} took longer than ${settings.timeoutMs} ms (attempt ${attempt} of ${settings.attempts})`,
        {
          node,
        },
      );
      home = this.#parts.strays();
      this.#ended(attempt, { ok: false, error });
      controller.abort(error);
    };
    this.#timer = timers.after(settings.timeoutMs, late);
    try {
      // `then` of the value itself, not of a wrapper: a plain value is an answer too.
      Promise.resolve(this.#parts.attempt(attempt, controller.signal)).then(
        (answer) => {
          over();
          this.#ended(attempt, { ok: true, answer });
        },
        (error: unknown) => {
          over();
          this.#ended(attempt, { ok: false, error });
        },
      );
    } catch (error) {
      this.#ended(attempt, { ok: false, error });
    }
  }

  /** Nobody waits for it any more. */
  abandon(reason: MillraceError): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#controller?.abort(reason);
  }

  #ended(attempt: number, outcome: Outcome): void {
    if (this.#over || attempt !== this.#attempt || this.#controller === undefined) return; // late: the attempt has been given up
    this.#timer?.cancel();
    this.#controller = undefined;
    const { settings, timers, chance, again, done } = this.#parts;
    if (!outcome.ok && attempt < settings.attempts && this.#worthAnother(outcome.error)) {
      this.#timer = timers.after(backoffMs(chance, attempt, settings.backoffMs, settings.backoffMaxMs), again);
      return;
    }
    this.#over = true;
    done(outcome);
  }

  #worthAnother(error: unknown): boolean {
    try {
      return this.#parts.settings.retryIf(error);
    } catch {
      return false; // a test that throws says nothing in favour of another attempt
    }
  }
}
