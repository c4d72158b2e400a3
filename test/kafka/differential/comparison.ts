// Runs episodes: draws requests, asks both brokers, compares, and keeps what differed.
// Owns: the topics that episodes share, the findings.  Never: knows what a request means.
// C1 both brokers get the same requests in the same order, each with its own values for what it has made up.  C2 an episode ends at the first
// difference: what comes after it would only be its echo.  C3 who answers "not yet" is asked again for a while before the answers are compared.
import type { Chance } from '@millrace/core';
import { APIS, type Api, NO_UUID } from '@millrace/protocol';
import type { Area } from './areas.ts';
import { type Difference, firstDifference, hasCode, Names, NOT_YET, plain } from './compare.ts';
import { knownReason } from './known.ts';
import { mutate } from './mutate.ts';
import type { Outcome, Side } from './side.ts';
import { type Ask, type Ground, World } from './world.ts';

/** One request in so many is changed in one place. */
const CHANGED_ONE_IN = 3;
const AGAIN_MS = 60;
const AGAIN_MAX = 25;

export class Comparison {
  readonly asked = new Set<string>();
  readonly #ours: Side;
  readonly #theirs: Side;
  readonly #chance: Chance;
  readonly #run: string;
  readonly #ranges = new Map<number, { min: number; max: number }>();
  readonly #findings = new Map<string, string>();
  readonly #knownSeen = new Map<string, number>();
  #ground: Ground | undefined;
  #count = 0;
  #requests = 0;

  constructor(ours: Side, theirs: Side, chance: Chance, run: string) {
    this.#ours = ours;
    this.#theirs = theirs;
    this.#chance = chance;
    this.#run = run;
  }

  /** Asks what both offer, and waits until Kafka's coordinators are there. */
  async warmUp(): Promise<void> {
    const offered = await this.#both(APIS.apiVersions, 3, { clientSoftwareName: 'a', clientSoftwareVersion: '1' });
    const rangesOf = ({ kind, ...rest }: Outcome) =>
      kind === 'answer' ? (rest as { body: { apiKeys: { apiKey: number; minVersion: number; maxVersion: number }[] } }).body.apiKeys : [];
    const [mine, other] = offered.map(rangesOf);
    for (const { apiKey, minVersion, maxVersion } of mine ?? []) {
      const same = other?.find((one) => one.apiKey === apiKey);
      if (same !== undefined) this.#ranges.set(apiKey, { min: Math.max(minVersion, same.minVersion), max: Math.min(maxVersion, same.maxVersion) });
    }
    for (const keyType of [0, 1]) await this.#settled(APIS.findCoordinator, 4, { keyType, coordinatorKeys: ['warm'] });
    await this.#settled(APIS.heartbeat, 4, { groupId: 'warm', generationId: 1, memberId: 'x' });
    await this.#settled(APIS.initProducerId, 4, { transactionalId: 'warm', transactionTimeoutMs: 60_000 });
    this.#ground = await this.#newGround();
  }

  async episode(area: Area): Promise<void> {
    this.#ground ??= await this.#newGround();
    const world = new World(this.#chance, this.#ground, `${this.#run}-${this.#count++}`);
    for (const side of [this.#ours, this.#theirs]) for (const name of [...side.values.keys()]) if (!name.startsWith('id of')) side.values.delete(name);
    const names = [new Names(this.#ours.values), new Names(this.#theirs.values)] as const;
    const told: string[] = [];
    for (let at = 0; at < area.requests; at++) {
      const ask = (area.asks[this.#chance.integer(area.asks.length)] as (world: World) => Ask)(world);
      const difference = await this.#compare(ask, world, names, told);
      if (difference === undefined) continue;
      this.#ground = undefined;
      return;
    }
  }

  summary(): string {
    const known = [...this.#knownSeen].map(([reason, times]) => `${times} × ${reason}`).join('; ');
    return `${this.#requests} requests so far; ${this.#findings.size} findings; differences that are meant: ${known || 'none'}`;
  }
  takeFindings(): string[] {
    const found = [...this.#findings.values()];
    this.#findings.clear();
    return found;
  }
  close(): void {
    this.#ours.close();
    this.#theirs.close();
  }

  async #compare(ask: Ask, world: World, names: readonly [Names, Names], told: string[]): Promise<Difference | undefined> {
    const { api } = ask;
    const version = this.#version(ask);
    if (version === undefined) return undefined;
    const texts = [world.ground.topic, world.ground.compacted, world.group];
    const body = this.#chance.integer(CHANGED_ONE_IN) === 0 ? mutate(ask.body, this.#chance, { texts }) : ask.body;
    const outcomes = await this.#both(api, version, body, ask.lane ?? 0);
    if (outcomes.length === 0) return undefined; // this version cannot say it
    this.#requests++;
    this.asked.add(api.name);
    for (const [at, side] of [this.#ours, this.#theirs].entries()) {
      const outcome = outcomes[at] as Outcome;
      if (outcome.kind === 'answer') ask.learn?.(side, outcome.body as never);
    }
    const [mine, other] = outcomes.map((outcome, at) => plain(api.name, outcome, names[at] as Names));
    told.push(`${api.name} v${version} ${show(this.#ours.resolve(body))} -> ${show(mine)}`);
    const difference = firstDifference(mine, other);
    if (difference === undefined) return undefined;
    const place = { api: api.name, version, ...difference, request: this.#ours.resolve(body) };
    const reason = knownReason(place);
    if (reason !== undefined) this.#knownSeen.set(reason, (this.#knownSeen.get(reason) ?? 0) + 1);
    else {
      const key = `${api.name} ${difference.path}: ours ${show(difference.ours)}, Kafka's ${show(difference.theirs)}`;
      if (!this.#findings.has(key)) this.#findings.set(key, `${key}\n    ${told.slice(-10).join('\n    ')}`);
    }
    return difference;
  }

  #version({ api, versions }: Ask): number | undefined {
    const shared = this.#ranges.get(api.key);
    if (shared === undefined) return undefined;
    const min = Math.max(shared.min, api.versions.min, versions?.[0] ?? 0);
    const max = Math.min(shared.max, api.versions.max, versions?.[1] ?? 0x7fff);
    return max < min ? undefined : min + this.#chance.integer(max - min + 1);
  }

  /** Both outcomes, ours first; none when the request cannot be encoded. */
  async #both(api: Api, version: number, body: unknown, lane = 0): Promise<Outcome[]> {
    const sides = [this.#ours, this.#theirs];
    const frames = sides.map((side) => side.encode(api, version, body));
    if (frames.some((frame) => frame === undefined)) return [];
    let outcomes = await Promise.all(sides.map((side, at) => side.ask(api, version, frames[at] as Buffer, lane)));
    for (let again = 0; again < AGAIN_MAX; again++) {
      const waits = outcomes.map((outcome) => hasCode(outcome, NOT_YET));
      const codesOf = outcomes.map((outcome) => JSON.stringify(plain(api.name, outcome, new Names())));
      if (!waits.some(Boolean) || codesOf[0] === codesOf[1]) break;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      outcomes = await Promise.all(
        sides.map((side, at) => (waits[at] ? side.ask(api, version, side.encode(api, version, body) as Buffer, lane) : (outcomes[at] as Outcome))),
      );
    }
    return outcomes;
  }

  /** Asks until nobody says "not yet". */
  async #settled(api: Api, version: number, body: unknown): Promise<Outcome[]> {
    for (let attempt = 0; attempt < 300; attempt++) {
      const outcomes = await this.#both(api, version, body);
      if (outcomes.length === 2 && !outcomes.some((outcome) => outcome.kind !== 'answer' || hasCode(outcome, NOT_YET))) return outcomes;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${api.name}: one of the brokers is not ready after 30 s`);
  }

  /** Topics reach the group coordinator of Kafka a moment later: until then consumer groups are assigned nothing of them. */
  async #seenByCoordinators({ topic, compacted }: Ground, at: number): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const body = {
        ...{ groupId: `see-${this.#run}-${at}-${attempt}`, memberId: 'seer', memberEpoch: 0, rebalanceTimeoutMs: 1_000 },
        ...{ subscribedTopicNames: [topic, compacted], topicPartitions: [] },
      };
      const answers = await this.#settled(APIS.consumerGroupHeartbeat, 1, body);
      const sees = answers.every((answer) => {
        const { assignment } = (answer as { body: { assignment: { topicPartitions: unknown[] } | null } }).body;
        return assignment?.topicPartitions.length === 2;
      });
      if (sees) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('a group coordinator does not see new topics after 5 s');
  }

  async #newGround(): Promise<Ground> {
    const at = this.#count++;
    const ground = { topic: `plain-${this.#run}-${at}`, compacted: `compacted-${this.#run}-${at}` };
    const hour = { name: 'message.timestamp.after.max.ms', value: '3600000' };
    const topics = [
      { name: ground.topic, numPartitions: 2, replicationFactor: 1, assignments: [], configs: [hour] },
      { name: ground.compacted, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [hour, { name: 'cleanup.policy', value: 'compact' }] },
    ];
    await this.#both(APIS.createTopics, 7, { topics, timeoutMs: 10_000 });
    for (const name of [ground.topic, ground.compacted]) {
      const described = await this.#settled(APIS.metadata, 12, { topics: [{ name }], allowAutoTopicCreation: false });
      for (const [index, side] of [this.#ours, this.#theirs].entries()) {
        const body = (described[index] as { body: { topics: { topicId: string }[] } }).body;
        side.values.set(`id of ${name}`, body.topics[0]?.topicId ?? NO_UUID);
      }
      const partitions = [{ partitionIndex: 0, timestamp: -1 }];
      await this.#settled(APIS.listOffsets, 7, { replicaId: -1, topics: [{ name, partitions }] });
    }
    await this.#seenByCoordinators(ground, at);
    return ground;
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner: unknown) => (isBytes(inner) ? Buffer.from(inner.data).toString('hex').slice(0, 260) : inner)) ?? 'nothing';
  return text.length > 700 ? `${text.slice(0, 700)}…` : text;
}
function isBytes(value: unknown): value is { type: 'Buffer'; data: number[] } {
  return value !== null && typeof value === 'object' && (value as { type?: unknown }).type === 'Buffer';
}
