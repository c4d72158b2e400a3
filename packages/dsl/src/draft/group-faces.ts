// The objects behind grouped, windowed and cogrouped streams: public method names over erased types, each method one line
// into the functions that do the work. What they make is a table, so this file and faces.ts name each other.
import type { ErasedAdder } from '../erased.ts';
import { countFold, type ErasedFold } from '../operators/fold.ts';
import type { ErasedSessionFold } from '../operators/session-aggregate.ts';
import { type SessionSettings, type SessionWindows, sessionSettings, type TimeWindows, type WindowSettings, windowSettings } from '../windows.ts';
import { TableFace } from './faces.ts';
import { foldGroup, type GroupNode } from './group-node.ts';
import { foldSessions } from './session-group.ts';
import type { TableSourceOptionsErased } from './table-sources.ts';

class FoldingFace {
  readonly group: GroupNode;
  readonly windows: WindowSettings | undefined;
  constructor(group: GroupNode, windows: WindowSettings | undefined) {
    this.group = group;
    this.windows = windows;
  }

  count(options: TableSourceOptionsErased = {}): TableFace {
    return new TableFace(foldGroup(this.group, { fold: countFold, kind: 'count', options, windows: this.windows }));
  }
  reduce(combine: ErasedAdder, options: TableSourceOptionsErased = {}): TableFace {
    return new TableFace(foldGroup(this.group, { fold: { initial: undefined, add: combine }, kind: 'reduce', options, windows: this.windows }));
  }
  aggregate(spec: TableSourceOptionsErased & Required<ErasedFold>): TableFace {
    const { initial, add } = spec;
    return new TableFace(foldGroup(this.group, { fold: { initial, add }, kind: 'aggregate', options: spec, windows: this.windows }));
  }
}

export class GroupFace extends FoldingFace {
  constructor(group: GroupNode) {
    super(group, undefined);
  }
  windowedBy(windows: TimeWindows | SessionWindows): WindowedFace | SessionFace {
    return windows.kind === 'session' ? new SessionFace(this.group, sessionSettings(windows)) : new WindowedFace(this.group, windowSettings(windows));
  }
}

export class WindowedFace extends FoldingFace {}

export class SessionFace {
  readonly group: GroupNode;
  readonly windows: SessionSettings;
  constructor(group: GroupNode, windows: SessionSettings) {
    this.group = group;
    this.windows = windows;
  }

  count(options: TableSourceOptionsErased = {}): TableFace {
    const fold: ErasedSessionFold = { ...countFold, merge: (left, right) => (left as number) + (right as number) };
    return new TableFace(foldSessions(this.group, { fold, kind: 'count', options, windows: this.windows }));
  }
  reduce(combine: ErasedAdder, options: TableSourceOptionsErased = {}): TableFace {
    const fold: ErasedSessionFold = { initial: undefined, add: combine, merge: combine };
    return new TableFace(foldSessions(this.group, { fold, kind: 'reduce', options, windows: this.windows }));
  }
  aggregate(spec: TableSourceOptionsErased & Required<ErasedSessionFold>): TableFace {
    const { initial, add, merge } = spec;
    return new TableFace(foldSessions(this.group, { fold: { initial, add, merge }, kind: 'aggregate', options: spec, windows: this.windows }));
  }
}
