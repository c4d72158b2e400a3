// `emit: { every }`: a table whose changes are held back, so that at most one goes on per key and interval of stream time.
// What waits is a logged buffer as that of suppress() is, named `<store>-emit`, else `<operator>-emit`.
import { type Duration, durationMs, MillraceError } from '@millrace/core';
import { topologyError } from '@millrace/topology';
import type { StoreOptionsErased } from './store-draft.ts';
import type { ErasedOptions, TableNode } from './stream-node.ts';
import { suppressTable } from './suppress-draft.ts';

type Options = ErasedOptions & StoreOptionsErased & { readonly emit?: string };
/** What a user may write where the operator itself knows only when it emits. */
export type Paceable<O extends Options> = Omit<O, 'emit'> & { readonly emit?: O['emit'] | { readonly every: Duration } };

const KNOWN: readonly unknown[] = [undefined, 'onUpdate', 'onCommit', 'onWindowClose'];

/** The table that `make` adds to the plan, with its pace if one is asked for. Throws ERR_OPTION for an `emit` that is none. */
export function pacedTable<O extends Options>(options: Paceable<O>, make: (options: O) => TableNode): TableNode {
  const { emit } = options;
  // Sound: without a pace the options are those of the operator.
  if (typeof emit !== 'object' || emit === null) {
    if (KNOWN.includes(emit)) return make(options as unknown as O);
    throw new MillraceError(
      'ERR_OPTION',
      `emit is ${JSON.stringify(emit)}; it takes 'onUpdate', 'onCommit' or { every: '10s' }, of windows also 'onWindowClose'.`,
      {
        option: 'emit',
      },
    );
  }
  const everyMs = durationMs(emit.every, 'emit: every');
  if (everyMs === 0)
    throw new MillraceError('ERR_OPTION', "emit: every is 0; it must be at least 1 ms. Use 'onUpdate' to hand every change on.", { option: 'emit' });
  const table = make({ ...options, emit: 'onUpdate' } as unknown as O);
  if (table.rows.historyMs !== undefined)
    throw topologyError(
      `emit: { every } cannot hold back "${table.name}": its rows come from a store.versioned(), where each holds for a time of its own. Give it a store.keyValue().`,
      {
        node: table.name,
      },
    );
  return suppressTable(table, { until: everyMs, as: `${table.name}-emit`, storeName: `${options.store?.name ?? table.name}-emit` });
}
