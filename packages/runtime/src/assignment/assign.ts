// Who runs which task: a pure function of what the members say.
// Sticky (a running task stays while the load allows), then where its state lies, then where there is room.
// Cooperative: a task that somebody else still runs is withheld from its new owner until the old one has given it up; one that two
// members claim (one of them was away and does not know it yet) goes to nobody until both have let go of it.
// Invariants: every task is assigned to at most one member; deterministic; no member gets more than its fair share plus one.
import type { MemberNews } from './wire.ts';

export interface Member extends MemberNews {
  readonly memberId: string;
}

export interface TaskFacts {
  /** `subtopology_partition` */
  readonly id: string;
  readonly stateful: boolean;
}

export interface Assignment {
  /** Per member id, in task order. */
  readonly tasks: ReadonlyMap<string, readonly string[]>;
  /** Transactional ids that no living member uses any more. */
  readonly vanished: readonly string[];
  /** All ids now in use, and the vanished: the list to hand down. */
  readonly known: readonly string[];
  /** Some task waits for its present owner; that owner rejoins once it has given it up. */
  readonly withheld: readonly string[];
}

/** `refused`: members that get nothing, but may still run tasks until they hear of it. */
export function assignTasks(members: readonly Member[], tasks: readonly TaskFacts[], refused: readonly Member[] = []): Assignment {
  const wanted = distribute(members, tasks);
  const result = new Map<string, string[]>(members.map((member) => [member.memberId, []]));
  const withheld: string[] = [];
  const all = [...members, ...refused];
  const { owners, disputed } = claimsOf(all);
  for (const task of tasks) {
    const target = wanted.get(task.id);
    if (target === undefined) continue;
    const owner = owners.get(task.id);
    if (disputed.has(task.id) || (owner !== undefined && owner !== target)) withheld.push(task.id);
    else result.get(target)?.push(task.id);
  }
  const used = new Set(all.flatMap((member) => member.transactionalIds));
  const heardOf = new Set(all.flatMap((member) => member.known));
  const vanished = [...heardOf].filter((id) => !used.has(id)).sort();
  return { tasks: result, vanished, known: [...new Set([...used, ...vanished])].sort(), withheld };
}

/** Task → the one member that says it runs it; and the tasks that more than one member claims. */
function claimsOf(members: readonly Member[]): { readonly owners: ReadonlyMap<string, string>; readonly disputed: ReadonlySet<string> } {
  const owners = new Map<string, string>();
  const disputed = new Set<string>();
  for (const member of members) {
    for (const task of member.owned) {
      if (owners.has(task)) disputed.add(task);
      owners.set(task, member.memberId);
    }
  }
  for (const task of disputed) owners.delete(task);
  return { owners, disputed };
}

interface Load {
  readonly member: Member;
  readonly quota: number;
  count: number;
}

function distribute(members: readonly Member[], tasks: readonly TaskFacts[]): Map<string, string> {
  const wanted = new Map<string, string>();
  if (members.length === 0) return wanted;
  const ordered = [...members].sort((left, right) =>
    left.instanceId < right.instanceId ? -1 : left.instanceId > right.instanceId ? 1 : left.memberId < right.memberId ? -1 : 1,
  );
  const workers = ordered.reduce((sum, member) => sum + member.workers, 0);
  const loads = new Map<string, Load>(
    ordered.map((member) => [member.memberId, { member, quota: Math.ceil((tasks.length * member.workers) / workers), count: 0 }]),
  );
  const { owners } = claimsOf(members);
  const take = (task: string, load: Load): void => {
    wanted.set(task, load.member.memberId);
    load.count++;
  };
  // Stateful tasks first: their place matters more.
  const inOrder = [...tasks.filter((task) => task.stateful), ...tasks.filter((task) => !task.stateful)];
  const homeless: TaskFacts[] = [];
  for (const task of inOrder) {
    const owner = loads.get(owners.get(task.id) ?? '');
    if (owner !== undefined && owner.count < owner.quota) take(task.id, owner);
    else homeless.push(task);
  }
  for (const task of homeless) {
    const room = [...loads.values()].filter((load) => load.count < load.quota);
    const withState = task.stateful ? room.filter((load) => load.member.stored.includes(task.id) || load.member.owned.includes(task.id)) : [];
    const from = withState.length > 0 ? withState : room.length > 0 ? room : [...loads.values()];
    take(
      task.id,
      from.reduce((best, load) => (load.count / load.member.workers < best.count / best.member.workers ? load : best)),
    );
  }
  even(loads, wanted, owners, inOrder);
  return wanted;
}

/**
 * Moves single tasks from the fullest to the emptiest member while they differ by more than one (per worker). Stateless ones first, and of those that
 * are alike one that does not run there: it can begin at once, and a running one would stop, and be withheld for a round.
 */
function even(loads: Map<string, Load>, wanted: Map<string, string>, owners: ReadonlyMap<string, string>, tasks: readonly TaskFacts[]): void {
  const perWorker = (load: Load): number => load.count / load.member.workers;
  for (let moves = 0; moves < tasks.length; moves++) {
    const all = [...loads.values()];
    const full = all.reduce((best, load) => (perWorker(load) > perWorker(best) ? load : best));
    const empty = all.reduce((best, load) => (perWorker(load) < perWorker(best) ? load : best));
    if ((full.count - 1) / full.member.workers < (empty.count + 1) / empty.member.workers) return;
    const theirs = tasks.filter((task) => wanted.get(task.id) === full.member.memberId);
    const last = theirs.at(-1);
    if (last === undefined) return;
    const moved = theirs.findLast(({ id, stateful }) => stateful === last.stateful && owners.get(id) !== full.member.memberId) ?? last;
    wanted.set(moved.id, empty.member.memberId);
    full.count--;
    empty.count++;
  }
}

/** Tasks of one instance spread over its workers: a task stays with its worker while no worker has two more than another. */
export function spreadOverWorkers(tasks: readonly string[], workers: number, current: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const quota = Math.ceil(tasks.length / workers);
  const counts = new Array<number>(workers).fill(0);
  const result = new Map<string, number>();
  const rest: string[] = [];
  for (const task of tasks) {
    const worker = current.get(task);
    if (worker !== undefined && worker < workers && (counts[worker] as number) < quota) {
      result.set(task, worker);
      counts[worker] = (counts[worker] as number) + 1;
    } else rest.push(task);
  }
  for (const task of rest) {
    const worker = counts.indexOf(Math.min(...counts));
    result.set(task, worker);
    counts[worker] = (counts[worker] as number) + 1;
  }
  return result;
}
