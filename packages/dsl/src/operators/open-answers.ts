// Which rows of the left table still wait for an answer of a foreign-key join, so that no answer is missed that would have taken an old result away.
// An inner join asks for an answer only if it could change something. That is sound while answers come back before a row changes again. Where they do
// not, the answer that would have deleted the old result belongs to a row that has changed, is dropped, and the newer row may have asked for none.
// So: while an answer is open, every change of the row asks for one (`isOpen`); and where such an answer is dropped though none is open, because the
// asking was done in another life of the task or by the right side, the row asks again (`askAgain`).
// Owns the open keys of one task's life, in memory.  Never: sends by itself, or keeps more than OPEN_MAX keys: the oldest go, and are asked for again.
// O1 a key is open from a question until an answer to the row as it is now; answers to former rows close nothing.
import { asBuffer, type ErasedSerde, encodeWith, noHeaders, type SerdeInfo } from '@millrace/core';

const OPEN_MAX = 100_000;

/** Asks for an answer to the row as it is now; null: there is none. */
export type AskAgain = (key: unknown, row: unknown) => void;

export class OpenAnswers {
  readonly #key: ErasedSerde;
  readonly #info: SerdeInfo;
  readonly #open = new Set<string>();
  #ask: AskAgain | undefined;

  constructor(key: ErasedSerde, pseudoTopic: string) {
    this.#key = key;
    this.#info = { topic: pseudoTopic, role: 'key', headers: noHeaders };
  }

  /** The left side says how it asks. */
  askBy(ask: AskAgain): void {
    this.#ask = ask;
  }

  isOpen(key: unknown): boolean {
    return this.#open.size > 0 && this.#open.has(this.#textOf(key));
  }

  opened(key: unknown): void {
    const text = this.#textOf(key);
    this.#open.delete(text);
    this.#open.add(text);
    if (this.#open.size <= OPEN_MAX) return;
    const [oldest] = this.#open as Iterable<string>;
    this.#open.delete(oldest as string);
  }

  closed(key: unknown): void {
    if (this.#open.size > 0) this.#open.delete(this.#textOf(key));
  }

  /** An answer that would have deleted a result came for a former row: unless the row has asked since, it asks now. */
  askAgain(key: unknown, row: unknown): void {
    if (!this.isOpen(key)) this.#ask?.(key, row);
  }

  #textOf(key: unknown): string {
    const bytes = encodeWith(this.#key, key, this.#info);
    return bytes === null ? '' : asBuffer(bytes).toString('latin1');
  }
}

/** The open answers that the two nodes of one join share in one life of a task: found by the task's own cursor, until a node closes. */
export class SharedOpenAnswers {
  readonly #key: ErasedSerde;
  readonly #pseudoTopic: string;
  readonly #byTask = new WeakMap<object, OpenAnswers>();

  constructor(key: ErasedSerde, pseudoTopic: string) {
    this.#key = key;
    this.#pseudoTopic = pseudoTopic;
  }

  open({ record }: { readonly record: object }): OpenAnswers {
    const answers = this.#byTask.get(record) ?? new OpenAnswers(this.#key, this.#pseudoTopic);
    this.#byTask.set(record, answers);
    return answers;
  }

  close({ record }: { readonly record: object }): void {
    this.#byTask.delete(record);
  }
}
