// The objects behind grouped, windowed and cogrouped streams: public method names over erased types, each method one line
// into the functions that do the work. What they make is a table, so this file and faces.ts name each other.
import type { ErasedAdder } from '../erased.ts';
import { countFold } from '../operators/fold.ts';
import { type TopicDeclaration, topicDeclaration } from '../topic.ts';
import { type SessionWindows, type TimeWindows, windowSettings } from '../windows.ts';
import { addCogroupInput, type Cogroup, type CogroupOptionsErased, foldCogroup } from './cogroup.ts';
import { TableFace } from './faces.ts';
import type { FoldWindows, InputFold } from './fold-node.ts';
import { type FoldOptionsErased, foldGroup, type GroupNode } from './group-node.ts';
import type { StreamNode } from './stream-node.ts';
import { sameTopology } from './typed.ts';

/** Sessions of a count and of a reduce are merged as records are; an aggregate brings its own. */
const sessionCountFold: InputFold = { ...countFold, merge: (left, right) => (left as number) + (right as number) };

class FoldingFace {
  readonly group: GroupNode;
  readonly windows: FoldWindows;
  /** The stream that is grouped. */
  readonly node: StreamNode;
  readonly #late: TopicDeclaration | undefined;
  constructor(group: GroupNode, windows: FoldWindows, late?: TopicDeclaration) {
    this.group = group;
    this.windows = windows;
    this.#late = late;
    this.node = group.stream;
  }

  count(options: FoldOptionsErased = {}): TableFace {
    return this.#fold('count', sessionCountFold, options);
  }
  reduce(combine: ErasedAdder, options: FoldOptionsErased = {}): TableFace {
    return this.#fold('reduce', { initial: undefined, add: combine, merge: combine }, options);
  }
  aggregate(spec: FoldOptionsErased & Required<Omit<InputFold, 'merge'>> & Pick<InputFold, 'merge'>): TableFace {
    const { initial, add, merge } = spec;
    return this.#fold('aggregate', { initial, add, merge }, spec);
  }
  #fold(kind: 'count' | 'reduce' | 'aggregate', fold: InputFold, options: FoldOptionsErased): TableFace {
    return new TableFace(foldGroup(this.group, { fold, kind, options, windows: this.windows, late: this.#late }));
  }
}

export class GroupFace extends FoldingFace {
  constructor(group: GroupNode) {
    super(group, undefined);
  }
  windowedBy(windows: TimeWindows | SessionWindows, options: { readonly late?: 'drop' | { readonly name: string } } = {}): WindowedFace {
    const { late } = options;
    return new WindowedFace(
      this.group,
      windowSettings(windows),
      late === undefined || late === 'drop' ? undefined : topicDeclaration(late, 'windowedBy(): late'),
    );
  }
  cogroup(first: { readonly initial: () => unknown; readonly add: ErasedAdder }): CogroupFace {
    return new CogroupFace({ initial: first.initial, inputs: [{ group: this.group, add: first.add }] }, this.node);
  }
}

/** Over time windows and over sessions. */
export class WindowedFace extends FoldingFace {}

export class CogroupFace {
  readonly cogrouped: Cogroup;
  readonly node: StreamNode;
  constructor(cogrouped: Cogroup, node: StreamNode) {
    this.cogrouped = cogrouped;
    this.node = node;
  }

  cogroup(grouped: object, add: ErasedAdder): CogroupFace {
    const group = sameTopology(grouped, GroupFace, this.node.draft, 'cogroup()').group;
    return new CogroupFace(addCogroupInput(this.cogrouped, { group, add }), this.node);
  }
  aggregate(options: CogroupOptionsErased = {}): TableFace {
    return new TableFace(foldCogroup(this.cogrouped, undefined, options));
  }
  windowedBy(windows: TimeWindows | SessionWindows): WindowedCogroupFace {
    return new WindowedCogroupFace(this.cogrouped, windowSettings(windows));
  }
}

export class WindowedCogroupFace {
  readonly cogrouped: Cogroup;
  readonly windows: FoldWindows;
  constructor(cogrouped: Cogroup, windows: FoldWindows) {
    this.cogrouped = cogrouped;
    this.windows = windows;
  }
  aggregate(options: CogroupOptionsErased = {}): TableFace {
    return new TableFace(foldCogroup(this.cogrouped, this.windows, options));
  }
}
