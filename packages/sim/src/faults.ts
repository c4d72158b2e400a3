// The faults of a simulation: what can be asked for, and what each does to the cluster.
// Owns: when they strike (drawn from the seed) and that each ends.  Never: strikes the machine that writes the inputs.
import type { Chance } from '@millrace/core';
import type { ForeignWriter } from './foreign-writer.ts';
import { BROKER_HOST, type BrokerMember, type InstanceMember } from './members.ts';
import type { Aim, SimNetwork } from './sim-network.ts';
import type { World } from './sim-process.ts';

export const FAULTS = [
  'crashes',
  'powerLosses',
  'restarts',
  'rebalances',
  'zombies',
  'workerDeaths',
  'stuckWorkers',
  'networkSplits',
  'cuts',
  'lostAnswers',
  'heldRequests',
  'corruptBatches',
  'slowBroker',
  'brokerCrashes',
  'lostDisks',
  'fullDisks',
  'slowDisks',
  'clockJumps',
  'foreignTransactions',
  'wrongAnswers',
  'movedCoordinators',
  'movedLeaders',
  'narrowLines',
  'frozenClocks',
  'absentBrokers',
  'slowMarkers',
  'forgottenIds',
] as const;
export type Fault = (typeof FAULTS)[number];
/** Expected count per virtual minute; what is not named does not happen. */
export type FaultRates = { readonly [F in Fault]?: number };

/** Those that hold all the time; their rate says no more than that they do. */
const CONDITIONS: ReadonlySet<Fault> = new Set(['slowMarkers', 'forgottenIds']);

/** Requests whose loss or delay has its own answer in the client or the worker. */
const API_KEYS = [0, 1, 8, 9, 10, 11, 12, 13, 14, 22, 24, 25, 26, 26, 28, 28] as const;
/** Requests that wait on their way while others overtake them on other connections: those of commits, and of rebalances. */
const HELD_KEYS = [26, 26, 26, 28, 28, 24, 25, 0, 9, 11, 12, 14] as const;
/** From the right time. Two clocks are never an hour apart: the broker takes no record dated further ahead than that. */
const CLOCK_JUMP_MS_MAX = 1_500_000;
/** A crash comes before one of the next this many effects. */
const EFFECTS_MAX = 400;
/** A broker that is absent stays so for longer than any timeout, and than the faults last. */
const ABSENT_MS = { least: 60_000, spread: 10_000 };
const MOVE_MS_MAX = 5000;
const NARROW_MS_MAX = 8000;

export interface Victims {
  readonly world: World;
  readonly network: SimNetwork;
  readonly broker: BrokerMember;
  readonly instances: readonly InstanceMember[];
  /** Comes and goes. */
  readonly spare: InstanceMember;
  readonly sessionTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  /** Somebody else who writes to the inputs. */
  readonly foreign: ForeignWriter;
  /** Whether an acknowledged write survives a power loss at the broker. */
  readonly durable: boolean;
}

export class Nemesis {
  readonly counts: Partial<Record<Fault, number>> = {};
  readonly #victims: Victims;
  readonly #chance: Chance;
  #stopped = false;
  readonly #undo = new Set<() => void>();
  /** Faults that outlast the others. */
  readonly #outlasting = new Set<Promise<void>>();

  constructor(victims: Victims, rates: FaultRates, chance: Chance) {
    this.#victims = victims;
    this.#chance = chance;
    for (const fault of FAULTS) {
      const rate = rates[fault] ?? 0;
      if (CONDITIONS.has(fault)) {
        if (rate > 0) this.counts[fault] = 1;
      } else if (rate > 0) this.#next(fault, 60_000 / rate);
    }
  }

  /** No more faults; resolves when everything that was broken works again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const undo of [...this.#undo]) undo();
    const { network, broker, instances, spare } = this.#victims;
    network.heal();
    for (const member of [broker, ...instances, spare]) {
      member.process?.crashAfter(Number.POSITIVE_INFINITY, 'killed');
      member.process?.thaw();
      member.machine.faults.refuses = undefined;
      member.machine.faults.slowMs = 0;
      member.process?.share.releaseWallClock();
    }
    await Promise.all(this.#outlasting);
  }

  #next(fault: Fault, meanMs: number): void {
    this.#victims.world.time.timers.after(-Math.log(1 - this.#chance.float()) * meanMs, () => {
      if (this.#stopped) return;
      this.counts[fault] = (this.counts[fault] ?? 0) + 1;
      this.#strike(fault);
      this.#next(fault, meanMs);
    });
  }

  #strike(fault: Fault): void {
    const { network, broker, world, durable } = this.#victims;
    const victim = this.#pick();
    const note = (what: string): void => world.trace.note('nemesis', `${fault}: ${what}`);
    switch (fault) {
      case 'crashes':
      case 'powerLosses':
        note(victim.name);
        victim.process?.crashAfter(1 + this.#chance.integer(EFFECTS_MAX), fault === 'crashes' ? 'killed' : 'powerLoss');
        return;
      case 'brokerCrashes': {
        const how = durable && this.#chance.integer(2) === 0 ? 'powerLoss' : 'killed';
        note(how);
        broker.process?.crashAfter(1 + this.#chance.integer(EFFECTS_MAX), how);
        return;
      }
      case 'lostDisks':
        note(victim.name);
        victim.process?.onEnd(() => victim.machine.loseDisk());
        victim.process?.end('killed');
        return;
      case 'restarts':
        note(victim.name);
        this.#restart(victim);
        return;
      case 'rebalances':
        this.#comeOrGo(note);
        return;
      case 'zombies':
        this.#zombie(victim, note);
        return;
      case 'workerDeaths': {
        const threads = [...victim.threads];
        note(`${victim.name} ${threads.length}`);
        if (threads.length > 0) threads[this.#chance.integer(threads.length)]?.end('killed');
        return;
      }
      case 'stuckWorkers':
        this.#stick(victim, note);
        return;
      case 'networkSplits':
        this.#split(victim.name, note);
        return;
      case 'cuts':
        note(victim.name);
        network.cut(this.#chance.integer(5) === 0 ? BROKER_HOST : victim.name);
        return;
      case 'lostAnswers': {
        const apiKey = API_KEYS[this.#chance.integer(API_KEYS.length)] as number;
        const fate = (['loseAnswer', 'loseAnswer', 'noAnswer', 'late', 'late', 'lose'] as const)[this.#chance.integer(6)] as Aim['fate'];
        network.aim({ apiKey, fate, delayMs: this.#chance.float() * (fate === 'late' ? 4000 : 20) });
        return;
      }
      case 'heldRequests': {
        const apiKey = HELD_KEYS[this.#chance.integer(HELD_KEYS.length)] as number;
        network.aim({ apiKey, fate: 'hold', delayMs: this.#chance.float() * 2 * this.#victims.sessionTimeoutMs });
        return;
      }
      case 'corruptBatches':
        note(victim.name);
        network.corruptNext(victim.name);
        return;
      case 'foreignTransactions':
        note(this.#victims.foreign.strike(this.#chance));
        return;
      case 'slowBroker':
        this.#slowBroker(note);
        return;
      case 'fullDisks': {
        const { faults } = victim.machine;
        faults.refuses = (['ENOSPC', 'EROFS', 'EIO'] as const)[this.#chance.integer(3)];
        note(`${victim.name} ${faults.refuses}`);
        this.#undoLater(this.#chance.float() * 4000, () => {
          faults.refuses = undefined;
        });
        return;
      }
      case 'slowDisks': {
        const { faults } = (this.#chance.integer(2) === 0 ? broker : victim).machine;
        faults.slowMs = this.#chance.float() * 400;
        this.#undoLater(this.#chance.float() * 4000, () => {
          faults.slowMs = 0;
        });
        return;
      }
      case 'clockJumps': {
        const process = (this.#chance.integer(4) === 0 ? broker : victim).process;
        if (process === undefined) return;
        const byMs = (this.#chance.float() - 0.5) * 2 * CLOCK_JUMP_MS_MAX - (process.share.clock.nowMs() - world.time.clock.nowMs());
        note(`${process.name} ${Math.round(byMs)}`);
        process.share.jumpWallClock(byMs);
        return;
      }
      case 'frozenClocks': {
        const process = (this.#chance.integer(4) === 0 ? broker : victim).process;
        note(process?.name ?? 'nobody');
        process?.share.holdWallClock();
        this.#undoLater(this.#chance.float() * 4000, () => process?.share.releaseWallClock());
        return;
      }
      case 'absentBrokers':
        this.#absent(note);
        return;
      case 'narrowLines':
        this.#narrow(victim, note);
        return;
      case 'wrongAnswers':
        note(network.refuseNext(this.#chance));
        return;
      case 'movedCoordinators':
      case 'movedLeaders': {
        const what = fault === 'movedLeaders' ? 'leaders' : 'coordinators';
        note(what);
        network.move(what, this.#chance);
        this.#undoLater(this.#chance.float() * MOVE_MS_MAX, () => network.moved(what));
        return;
      }
      case 'slowMarkers':
      case 'forgottenIds':
        return; // see CONDITIONS
    }
  }

  #pick(): InstanceMember {
    const { instances, spare } = this.#victims;
    const all = spare.alive ? [...instances, spare] : instances;
    return all[this.#chance.integer(all.length)] as InstanceMember;
  }
  #undoLater(ms: number, undo: () => void): void {
    const once = (): void => {
      if (this.#undo.delete(once)) undo();
    };
    this.#undo.add(once);
    this.#victims.world.time.timers.after(ms, once);
  }
  #restart(victim: InstanceMember): void {
    if (!victim.alive || victim.closing) return;
    void victim.stop();
  }
  #comeOrGo(note: (what: string) => void): void {
    const { spare } = this.#victims;
    note(spare.wanted ? 'the spare goes' : 'the spare comes');
    if (spare.wanted) {
      spare.wanted = false;
      if (!spare.closing) void spare.stop('leave');
    } else {
      spare.wanted = true;
      spare.start();
    }
  }
  #zombie(victim: InstanceMember, note: (what: string) => void): void {
    const { process } = victim;
    const forMs = this.#chance.float() * 3 * this.#victims.sessionTimeoutMs;
    note(`${process?.name ?? 'nobody'} ${Math.round(forMs)}`);
    process?.freeze();
    this.#undoLater(forMs, () => process?.thaw());
  }
  /** User code that does not come back for a while, longer than its transaction may be open, on a thread of its own. */
  #stick(victim: InstanceMember, note: (what: string) => void): void {
    const threads = [...victim.threads];
    const thread = threads[this.#chance.integer(Math.max(1, threads.length))];
    const forMs = this.#chance.float() * 2 * this.#victims.transactionTimeoutMs;
    note(`${thread?.name ?? 'nobody'} ${Math.round(forMs)}`);
    thread?.freeze();
    this.#undoLater(forMs, () => thread?.thaw());
  }
  #split(host: string, note: (what: string) => void): void {
    const { network, sessionTimeoutMs } = this.#victims;
    const directions = [
      [host, BROKER_HOST],
      [BROKER_HOST, host],
    ] as const;
    const which = this.#chance.integer(3); // one way, the other, both
    const chosen = directions.filter((_, at) => which === 2 || which === at);
    note(chosen.map((pair) => pair.join('>')).join(' '));
    for (const [from, to] of chosen) network.block(from, to);
    this.#undoLater(this.#chance.float() * 2 * sessionTimeoutMs, () => {
      for (const [from, to] of chosen) network.unblock(from, to);
    });
  }
  /** Killed, and nobody starts it for a minute. */
  #absent(note: (what: string) => void): void {
    const { broker, world } = this.#victims;
    if (!broker.wanted) return;
    const forMs = ABSENT_MS.least + this.#chance.float() * ABSENT_MS.spread;
    note(`${Math.round(forMs)} ms`);
    broker.wanted = false;
    broker.process?.end('killed');
    this.#outlasting.add(
      new Promise((resolve) => {
        world.time.timers.after(forMs, () => {
          broker.wanted = true;
          broker.start();
          resolve();
        });
      }),
    );
  }
  /** What comes to an instance comes slowly, and if its disk is lost as well it has all of its state to fetch. */
  #narrow(victim: InstanceMember, note: (what: string) => void): void {
    const bytesPerMs = 4 + this.#chance.float() * 60;
    const loses = this.#chance.integer(2) === 0;
    note(`${victim.name} ${bytesPerMs.toFixed(1)} bytes/ms${loses ? ', its disk is lost' : ''}`);
    const { network } = this.#victims;
    network.narrow(victim.name, bytesPerMs);
    if (loses) {
      victim.process?.onEnd(() => victim.machine.loseDisk());
      victim.process?.end('killed');
    }
    this.#undoLater(this.#chance.float() * NARROW_MS_MAX, () => network.narrow(victim.name, 0));
  }
  #slowBroker(note: (what: string) => void): void {
    const { network, broker } = this.#victims;
    if (this.#chance.integer(3) === 0) {
      const { process } = broker;
      note('frozen');
      process?.freeze();
      this.#undoLater(this.#chance.float() * 3000, () => process?.thaw());
      return;
    }
    const ms = this.#chance.float() * 300;
    note(`${Math.round(ms)} ms`);
    network.slow(BROKER_HOST, ms);
    this.#undoLater(this.#chance.float() * 4000, () => network.slow(BROKER_HOST, 0));
  }
}
