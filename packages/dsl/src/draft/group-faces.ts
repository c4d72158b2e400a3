// The objects behind grouped, windowed and cogrouped streams: public method names over erased types, each method one line
// into the functions that do the work. What they make is a table, whose face (faces.ts) has groups in turn: so `table` is given.
import type { ErasedAdder } from '../erased.ts';
import { countFold } from '../operators/fold.ts';
import { type TopicDeclaration, topicDeclaration } from '../topic.ts';
import { type SessionWindows, type TimeWindows, windowSettings } from '../windows.ts';
import { addCogroupInput, type Cogroup, type CogroupOptionsErased, foldCogroup } from './cogroup.ts';
import type { FoldWindows, InputFold } from './fold-node.ts';
import { givenFunction, givenFunctions } from './given-function.ts';
import { type FoldOptionsErased, foldGroup, type GroupNode } from './group-node.ts';
import { type Paceable, pacedTable } from './paced-table.ts';
import type { StreamNode, TableNode } from './stream-node.ts';
import { sameTopology } from './typed.ts';

/** Sessions of a count and of a reduce are merged as records are; an aggregate brings its own. */
const sessionCountFold: InputFold = { ...countFold, merge: (left, right) => (left as number) + (right as number) };

/** The face of a table that was made. */
type TableOf<Table> = (node: TableNode) => Table;

class FoldingFace<Table> {
  readonly group: GroupNode;
  readonly windows: FoldWindows;
  /** The stream that is grouped. */
  readonly node: StreamNode;
  readonly table: TableOf<Table>;
  readonly #late: TopicDeclaration | undefined;
  constructor(table: TableOf<Table>, group: GroupNode, windows: FoldWindows, late?: TopicDeclaration) {
    this.table = table;
    this.group = group;
    this.windows = windows;
    this.#late = late;
    this.node = group.stream;
  }

  count(options: Paceable<FoldOptionsErased> = {}): Table {
    return this.#fold('count', sessionCountFold, options);
  }
  reduce(combine: ErasedAdder, options: Paceable<FoldOptionsErased> = {}): Table {
    return this.#fold('reduce', { initial: undefined, add: givenFunction(combine, 'reduce(): the combiner'), merge: combine }, options);
  }
  aggregate(spec: Paceable<FoldOptionsErased> & Required<Omit<InputFold, 'merge'>> & Pick<InputFold, 'merge'>): Table {
    const { initial, add, merge } = givenFunctions(spec, ['initial', 'add'], 'aggregate()');
    if (this.windows?.kind === 'session') givenFunction(merge, 'aggregate() over sessions: merge');
    return this.#fold('aggregate', { initial, add, merge }, spec);
  }
  #fold(kind: 'count' | 'reduce' | 'aggregate', fold: InputFold, options: Paceable<FoldOptionsErased>): Table {
    const { group, windows } = this;
    return this.table(pacedTable<FoldOptionsErased>(options, (immediate) => foldGroup(group, { fold, kind, options: immediate, windows, late: this.#late })));
  }
}

export class GroupFace<Table> extends FoldingFace<Table> {
  constructor(table: TableOf<Table>, group: GroupNode) {
    super(table, group, undefined);
  }
  windowedBy(windows: TimeWindows | SessionWindows, options: { readonly late?: 'drop' | { readonly name: string } } = {}): WindowedFace<Table> {
    const { late } = options;
    return new WindowedFace(
      this.table,
      this.group,
      windowSettings(windows),
      late === undefined || late === 'drop' ? undefined : topicDeclaration(late, 'windowedBy(): late'),
    );
  }
  cogroup(first: { readonly initial: () => unknown; readonly add: ErasedAdder }): CogroupFace<Table> {
    givenFunctions(first, ['initial', 'add'], 'cogroup()');
    return new CogroupFace(this.table, { initial: first.initial, inputs: [{ group: this.group, add: first.add }] }, this.node);
  }
}

/** Over time windows and over sessions. */
export class WindowedFace<Table> extends FoldingFace<Table> {}

export class CogroupFace<Table> {
  readonly cogrouped: Cogroup;
  readonly node: StreamNode;
  readonly #table: TableOf<Table>;
  constructor(table: TableOf<Table>, cogrouped: Cogroup, node: StreamNode) {
    this.#table = table;
    this.cogrouped = cogrouped;
    this.node = node;
  }

  cogroup(grouped: object, add: ErasedAdder): CogroupFace<Table> {
    const group = sameTopology(grouped, GroupFace, this.node.draft, 'cogroup()').group;
    return new CogroupFace(this.#table, addCogroupInput(this.cogrouped, { group, add: givenFunction(add, 'cogroup(): add') }), this.node);
  }
  aggregate(options: Paceable<CogroupOptionsErased> = {}): Table {
    return this.#table(pacedTable<CogroupOptionsErased>(options, (immediate) => foldCogroup(this.cogrouped, undefined, immediate)));
  }
  windowedBy(windows: TimeWindows | SessionWindows): WindowedCogroupFace<Table> {
    return new WindowedCogroupFace(this.#table, this.cogrouped, windowSettings(windows));
  }
}

export class WindowedCogroupFace<Table> {
  readonly cogrouped: Cogroup;
  readonly windows: FoldWindows;
  readonly #table: TableOf<Table>;
  constructor(table: TableOf<Table>, cogrouped: Cogroup, windows: FoldWindows) {
    this.#table = table;
    this.cogrouped = cogrouped;
    this.windows = windows;
  }
  aggregate(options: Paceable<CogroupOptionsErased> = {}): Table {
    return this.#table(pacedTable<CogroupOptionsErased>(options, (immediate) => foldCogroup(this.cogrouped, this.windows, immediate)));
  }
}
