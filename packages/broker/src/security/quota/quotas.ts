// The quotas in force, and how long a connection has to be quiet because of one.
// Owns: which quota counts for whom, the rates.  Never: holds a request back (the connection is muted; the answer tells the client).
// Q1 without any quota nothing is measured.  Q2 rates are kept for the busiest askers only: a flood of client ids takes no memory.
import type { Clock } from '@millrace/core';
import type { StoredSecurityFile } from '../stored-security.ts';
import { entitiesFor, entityId, type QuotaEntity, type QuotaKey, type StoredQuota } from './entity.ts';
import { Rate } from './rate.ts';

export const QUOTAS_MAX = 10_000;
const RATES_MAX = 10_000;
const MS_PER_PERCENT = 10;
/** Time is given back sooner than bytes, as with Kafka: one slow request does not shut its client out. */
const BUSY_QUIET_MS_MAX = 10_000;

/** What one request has cost. */
export interface RequestCost {
  readonly producedBytes: number;
  readonly consumedBytes: number;
  readonly busyMs: number;
}

export class Quotas {
  readonly #file: StoredSecurityFile;
  readonly #clock: Clock;
  readonly #rates = new Map<string, Rate>();
  #byEntity = new Map<string, StoredQuota>();
  #ipQuotas = false;
  #userQuotas = false;

  constructor(file: StoredSecurityFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.#index();
  }

  /** False: nothing about requests need be measured. */
  get measuresRequests(): boolean {
    return this.#userQuotas;
  }
  all(): readonly StoredQuota[] {
    return [...this.#byEntity.values()];
  }
  get(entity: QuotaEntity): StoredQuota | undefined {
    return this.#byEntity.get(entityId(entity));
  }

  /** All of it or nothing; on disk when this returns. A quota without limits is taken away. */
  set(changes: readonly StoredQuota[]): void {
    const next = new Map(this.#byEntity);
    for (const quota of changes) {
      if (Object.keys(quota.limits).length === 0) next.delete(entityId(quota.entity));
      else next.set(entityId(quota.entity), quota);
    }
    this.#file.update({ quotas: [...next.values()] });
    this.#index();
  }

  /** ms of quiet that this request asks for. `user` without the `User:` of a principal. */
  charge(user: string, clientId: string, cost: RequestCost): number {
    return Math.max(
      this.#record('producer_byte_rate', user, clientId, cost.producedBytes),
      this.#record('consumer_byte_rate', user, clientId, cost.consumedBytes),
      this.#record('request_percentage', user, clientId, cost.busyMs / MS_PER_PERCENT),
    );
  }

  /** ms that a new connection from this address has to wait before it is served. */
  connectionDelayMs(address: string): number {
    if (!this.#ipQuotas) return 0;
    const limit = (this.get({ ip: address }) ?? this.get({ ip: null }))?.limits.connection_creation_rate;
    return limit === undefined ? 0 : this.#rate(`connection_creation_rate ${address}`).record(this.#clock.monotonicMs(), 1, limit);
  }

  #record(key: QuotaKey, user: string, clientId: string, value: number): number {
    if (value === 0) return 0;
    for (const entity of entitiesFor(user, clientId)) {
      const limit = this.get(entity)?.limits[key];
      if (limit === undefined) continue;
      // Whoever shares the quota shares the rate: the names that the entity has, not the defaults in it.
      const sharers = `${entity.user === undefined ? '' : `u${user}`} ${entity.clientId === undefined ? '' : `c${clientId}`}`;
      return this.#rate(`${key} ${sharers}`).record(this.#clock.monotonicMs(), value, limit, key === 'request_percentage' ? BUSY_QUIET_MS_MAX : undefined);
    }
    return 0;
  }

  #rate(id: string): Rate {
    const known = this.#rates.get(id);
    if (known !== undefined) {
      this.#rates.delete(id); // newest last
      this.#rates.set(id, known);
      return known;
    }
    if (this.#rates.size >= RATES_MAX) {
      const oldest = this.#rates.keys().next();
      if (oldest.done !== true) this.#rates.delete(oldest.value);
    }
    const fresh = new Rate(this.#clock.monotonicMs());
    this.#rates.set(id, fresh);
    return fresh;
  }

  #index(): void {
    const { quotas } = this.#file.now;
    this.#byEntity = new Map(quotas.map((quota) => [entityId(quota.entity), quota]));
    this.#ipQuotas = quotas.some(({ entity }) => entity.ip !== undefined);
    this.#userQuotas = quotas.some(({ entity }) => entity.ip === undefined);
    this.#rates.clear();
  }
}
