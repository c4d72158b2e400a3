// The four nodes of a foreign-key join (semantics 13): rows of the left table subscribe to rows of the right one, wherever these are;
// answers come back to where the left row is and are joined there, unless that row has changed meanwhile.
//   left change ─ subscribe ═ topic ═ receive ─ answer ═ topic ═ resolve ─ result
//                                       store ↘  right change ─ answer all ↗
import { type ErasedSerde, encodeWith, equalBytes, noHeaders, type SerdeInfo } from '@millrace/core';
import type { StagedKeyValueStore } from '@millrace/state';
import type { NodeContext, NodeProcessor, ProcessorFactory } from '@millrace/topology';
import type { Change } from '../change.ts';
import type { RowView } from '../draft/table-rows.ts';
import type { ErasedJoiner, ErasedRowMapper } from '../erased.ts';
import {
  FORGET,
  FORGET_AND_ANSWER,
  type ForeignAnswer,
  KEEP_AND_ANSWER,
  KEEP_AND_ANSWER_IF_FOUND,
  type Subscription,
  type SubscriptionKey,
} from './foreign-key-serdes.ts';
import type { SharedOpenAnswers } from './open-answers.ts';
import { keyValueStore } from './row-readers.ts';
import { valueHash } from './value-hash.ts';

export type ForeignKeyJoinKind = 'inner' | 'left';

const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined;

/** Hash of a row of the left table by its bytes; null for none. */
export function rowHasher(value: ErasedSerde, pseudoTopic: string): (row: unknown) => Buffer | null {
  const info: SerdeInfo = { topic: pseudoTopic, role: 'value', headers: noHeaders };
  return (row) => {
    const bytes = isNothing(row) ? null : encodeWith(value, row, info);
    return bytes === null ? null : valueHash(bytes);
  };
}

export interface SubscribeSettings {
  readonly kind: ForeignKeyJoinKind;
  readonly on: ErasedRowMapper;
  readonly hashOf: (row: unknown) => Buffer | null;
  readonly foreignKey: ErasedSerde;
  readonly pseudoTopic: string;
  readonly answers: SharedOpenAnswers;
}

/** Left side: tells the foreign key that a row refers to it, and the former one that it does no longer. */
export function subscribeOperator({ kind, on, hashOf, foreignKey, pseudoTopic, answers }: SubscribeSettings): ProcessorFactory {
  const info: SerdeInfo = { topic: pseudoTopic, role: 'key', headers: noHeaders };
  /** Keys are the same if their bytes are. */
  const isSame = (a: unknown, b: unknown): boolean => {
    if (a === b) return true;
    const [left, right] = [encodeWith(foreignKey, a, info), encodeWith(foreignKey, b, info)];
    return left !== null && right !== null && equalBytes(left, right);
  };
  return (context): NodeProcessor => {
    const send = (foreign: unknown, instruction: number, primary: unknown, hash: Buffer | null): void => {
      const subscription: Subscription = { instruction, hash, primary, partition: context.partition };
      context.forward(foreign, subscription);
    };
    // A left join asks for an answer each time.
    const open = answers.open(context);
    const ask = (foreign: unknown, instruction: number, primary: unknown, hash: Buffer | null): void => {
      open.opened(primary);
      send(foreign, instruction, primary, hash);
    };
    open.askBy((key, row) => ask((isNothing(row) ? undefined : on(row, key)) ?? null, KEEP_AND_ANSWER, key, hashOf(row)));
    return {
      close: () => answers.close(context),
      process(key, given) {
        const { value, prior, isLatest } = given as Change;
        if (!isLatest) {
          context.drop('skipped', 'an older version of a row has been written: the newest one stays joined');
          return;
        }
        if (value === null && prior === null) return;
        const before = prior === null ? undefined : on(prior, key);
        const now = value === null ? undefined : on(value, key);
        const hadKey = !isNothing(before);
        const hash = hashOf(value);
        if (kind === 'left') {
          if (hadKey && (isNothing(now) || !isSame(now, before))) send(before, FORGET, key, hash);
          send(now ?? null, KEEP_AND_ANSWER, key, hash);
          return;
        }
        if (isNothing(now)) {
          if (value !== null) context.drop('skipped', 'a row without foreign key has no partner');
          if (hadKey) ask(before, FORGET_AND_ANSWER, key, hash);
          else if (open.isOpen(key)) ask(null, KEEP_AND_ANSWER, key, hash);
        } else if (hadKey && !isSame(now, before)) {
          send(before, FORGET, key, hash);
          ask(now, KEEP_AND_ANSWER, key, hash);
        } else if (open.isOpen(key)) ask(now, KEEP_AND_ANSWER, key, hash);
        else send(now, KEEP_AND_ANSWER_IF_FOUND, key, hash);
      },
    };
  };
}

const subscriptions = (context: NodeContext, store: string): StagedKeyValueStore<SubscriptionKey, Subscription> =>
  // Sound: the join declared the store with exactly these serdes.
  keyValueStore(context, store) as unknown as StagedKeyValueStore<SubscriptionKey, Subscription>;

/** Right side: keeps who refers to a row, or forgets it. */
export function receiveOperator(storeName: string): ProcessorFactory {
  return (context): NodeProcessor => {
    const store = subscriptions(context, storeName);
    const { record } = context;
    return {
      process(foreign, given) {
        const subscription = given as Subscription;
        const { instruction, primary } = subscription;
        if (isNothing(foreign)) {
          if (instruction !== KEEP_AND_ANSWER) {
            context.drop('nullKey');
            return;
          }
        } else {
          const isKept = instruction === KEEP_AND_ANSWER || instruction === KEEP_AND_ANSWER_IF_FOUND;
          store.write({ foreign, primary }, isKept ? subscription : undefined, record.timestamp);
        }
        context.forward(foreign, subscription);
      },
    };
  };
}

/** Right side: answers a subscription with the row as it is now. */
export function answerOperator(view: RowView): ProcessorFactory {
  return (context): NodeProcessor => {
    const rows = view.open(context);
    const { record } = context;
    return {
      process(foreign, given) {
        const { instruction, hash, primary, partition } = given as Subscription;
        if (instruction === FORGET) return;
        const isFound = !isNothing(foreign) && rows.find(foreign);
        if (!isFound && instruction === KEEP_AND_ANSWER_IF_FOUND) return;
        const at = isFound && rows.timestamp > record.timestamp ? rows.timestamp : record.timestamp;
        const answer: ForeignAnswer = { hash, value: isFound && instruction !== FORGET_AND_ANSWER ? rows.value : null, partition };
        context.forwardAt(primary, answer, at);
      },
    };
  };
}

/** Right side: a row has changed, and all who refer to it hear of it. */
export function answerAllOperator(storeName: string): ProcessorFactory {
  return (context): NodeProcessor => {
    const store = subscriptions(context, storeName);
    return {
      process(foreign, given) {
        const { value, isLatest } = given as Change;
        if (!isLatest) {
          context.drop('skipped', 'an older version of a row has been written: the newest one stays joined');
          return;
        }
        for (const row of store.range({ prefix: { foreign, primary: undefined } })) {
          const { hash, partition } = row.value;
          const answer: ForeignAnswer = { hash, value, partition };
          context.forward(row.key.primary, answer);
        }
      },
    };
  };
}

export interface ResolveSettings {
  readonly kind: ForeignKeyJoinKind;
  /** Rows of the left table. */
  readonly view: RowView;
  readonly joiner: ErasedJoiner;
  readonly hashOf: (row: unknown) => Buffer | null;
  readonly answers: SharedOpenAnswers;
}

/** Left side again: joins an answer with the row that asked. A row that has changed since has asked anew, or is made to: that answer will come. */
export function resolveOperator({ kind, view, joiner, hashOf, answers }: ResolveSettings): ProcessorFactory {
  return (context): NodeProcessor => {
    const rows = view.open(context);
    const open = answers.open(context);
    return {
      close: () => answers.close(context),
      process(key, given) {
        const { hash, value } = given as ForeignAnswer;
        const row = rows.find(key) ? rows.value : null;
        const current = hashOf(row);
        if (current === null ? hash !== null : hash === null || !equalBytes(current, hash)) {
          context.drop('skipped', 'an answer to a row that has changed since');
          if (kind === 'inner' && value === null) open.askAgain(key, row);
          return;
        }
        if (kind === 'inner') open.closed(key);
        const isJoined = row !== null && (value !== null || kind === 'left');
        context.forward(key, isJoined ? joiner(row, value ?? undefined, key) : null);
      },
    };
  };
}
