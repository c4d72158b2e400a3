// The plan while the user's build function runs: nodes are added, tables learn that somebody needs their rows or prior values.
// Owns everything mutable of the DSL. `freeze` turns it into an immutable plan; after that it is not used any more.
import type { ErasedSerde } from '@millrace/core';
import { type ProcessorFactory, type StoreDeclaration, type StoreSpec, topologyError } from '@millrace/topology';
import { Names } from '../plan/names.ts';
import type { GlobalStorePlan, OperatorPlan, Plan, PlanNode, RepartitionPlan, SinkPlan, SourcePlan, TableSourcePlan } from '../plan/nodes.ts';
import { ScriptPlaces } from '../script-place.ts';

/** What is known of an operator only once the whole program is: its stores and its code. */
interface LateFacts {
  readonly stores: readonly string[];
  readonly create: ProcessorFactory;
}
type Late<Node> = Omit<Node, 'id' | 'stores' | 'create'> & { readonly resolve: () => LateFacts };
export type NodeDraft =
  | Omit<GlobalStorePlan, 'id'>
  | Omit<SourcePlan, 'id'>
  | Late<TableSourcePlan>
  | Late<OperatorPlan>
  | Omit<RepartitionPlan, 'id'>
  | Omit<SinkPlan, 'id'>;

export class PlanDraft {
  readonly names = new Names();
  readonly places = new ScriptPlaces();
  readonly defaults: Plan['defaults'];
  readonly #nodes: NodeDraft[] = [];
  /** Stores by name, as functions: a store exists only if it turns out to be needed. */
  readonly #stores = new Map<string, () => StoreSpec | undefined>();
  /** Stores that processors connect. One that no operator keeps is made from its declaration. */
  readonly #connected = new Map<string, { readonly declared: StoreDeclaration; readonly spec: () => StoreSpec }>();
  readonly #globals = new Set<string>();
  readonly #copartitioned: (readonly number[])[] = [];
  /** How long behind their end the windows of an aggregate take late records, by node. */
  readonly #graces = new Map<number, number>();
  #frozen = false;

  constructor(defaults: Plan['defaults']) {
    this.defaults = defaults;
  }

  /** Returns the id of the new node. */
  add(node: NodeDraft): number {
    this.#checkOpen();
    this.places.note(node.name, ...(node.kind === 'repartition' ? [node.topic] : []), ...('sourceName' in node ? [node.sourceName] : []));
    return this.#nodes.push(node) - 1;
  }

  addStore(name: string, spec: () => StoreSpec | undefined): void {
    this.#checkOpen();
    if (this.#stores.has(name))
      throw topologyError(`Store "${name}" is given to two operators. Each needs a store of its own; declare another handle.`, { store: name });
    this.#stores.set(name, spec);
    this.places.note(name);
  }

  /** May come before the operator that keeps the store. `spec` is asked only if none does. */
  connectStore(declared: StoreDeclaration, spec: () => StoreSpec): void {
    this.#checkOpen();
    const other = this.#connected.get(declared.name);
    if (other !== undefined && other.declared !== declared) throw twoHandles(declared.name);
    this.#connected.set(declared.name, { declared, spec });
  }

  /** A store that every instance holds whole: its name is taken, but the plan's node brings it along. */
  addGlobalStore(name: string): void {
    this.addStore(name, () => undefined);
    this.#globals.add(name);
  }

  addCopartitioned(sources: Iterable<number>): void {
    this.#copartitioned.push([...new Set(sources)]);
  }

  setGrace(node: number, graceMs: number): void {
    this.#graces.set(node, graceMs);
  }

  /** Grace of the nearest windowed aggregate above a node; of several the longest. Undefined: on some path there is none. */
  graceAbove(id: number): number | undefined {
    const own = this.#graces.get(id);
    if (own !== undefined) return own;
    const above = (this.#nodes[id]?.parents ?? []).map((parent) => this.graceAbove(parent));
    return above.length === 0 || above.includes(undefined) ? undefined : Math.max(...(above as number[]));
  }

  /** Does anything hang below this node? Asked while freezing. */
  hasChildren(id: number): boolean {
    return this.#nodes.some((node) => node.parents.includes(id));
  }

  keySerde(serde: ErasedSerde | undefined): ErasedSerde {
    return serde ?? this.defaults.key;
  }

  valueSerde(serde: ErasedSerde | undefined): ErasedSerde {
    return serde ?? this.defaults.value;
  }

  freeze(): Plan {
    this.#frozen = true;
    const stores = [...this.#stores.values()].flatMap((spec) => spec() ?? []);
    for (const [name, { declared, spec }] of this.#connected) {
      if (this.#globals.has(name)) throw connectedGlobal(name);
      const kept = stores.find((store) => store.name === name);
      if (kept === undefined) stores.push(spec());
      else if (kept.kind !== declared.kind || kept.value !== declared.value) throw twoHandles(name);
    }
    const nodes = this.#nodes.map((draft, id): PlanNode => {
      if (!('resolve' in draft)) return Object.freeze({ ...draft, id });
      const { resolve, ...node } = draft;
      // Sound: `resolve` supplies exactly the two fields that `Late` leaves out, and the kind tells which node it is.
      return Object.freeze({ ...node, ...resolve(), id } as OperatorPlan | TableSourcePlan);
    });
    return Object.freeze({ nodes, stores, copartitioned: this.#copartitioned, defaults: this.defaults });
  }

  #checkOpen(): void {
    if (this.#frozen)
      throw topologyError('A stream or table was used after its topology had been built. Call operators only inside topology(name, (t) => { … }).');
  }
}

function connectedGlobal(store: string): Error {
  return topologyError(`Store "${store}" is a global one: every processor may read it as it is. Leave it out of the processor's stores.`, { store });
}

function twoHandles(store: string): Error {
  return topologyError(`Two stores are called "${store}". Declare the handle once, and use that value everywhere.`, { store });
}
