// Whom a quota is for: a user, a client id, both, or an address; or the default of one of these.
// Owns: the form of an entity and of a quota, and which of several counts.  Never: measures (throttle.ts).
// Source: KIP-13, KIP-257, KIP-546 (names and order), KIP-612 (addresses).

/** Keys a quota may be set for; rates per second. */
export const QUOTA_KEYS = {
  producer_byte_rate: 'user',
  consumer_byte_rate: 'user',
  request_percentage: 'user',
  connection_creation_rate: 'ip',
} as const;
export type QuotaKey = keyof typeof QUOTA_KEYS;

/** A name, null for the default of its kind; absent: not part of the entity. */
export interface QuotaEntity {
  readonly user?: string | null;
  readonly clientId?: string | null;
  readonly ip?: string | null;
}

export interface StoredQuota {
  readonly entity: QuotaEntity;
  readonly limits: Readonly<Partial<Record<QuotaKey, number>>>;
}

/** The entities that may hold a quota for this user and client id, the one that counts first. */
export function entitiesFor(user: string, clientId: string): readonly QuotaEntity[] {
  return [
    { user, clientId },
    { user, clientId: null },
    { user },
    { user: null, clientId },
    { user: null, clientId: null },
    { user: null },
    { clientId },
    { clientId: null },
  ];
}

/** Entities that mean the same have the same text. */
export function entityId({ user, clientId, ip }: QuotaEntity): string {
  return JSON.stringify([user === undefined ? 0 : [user], clientId === undefined ? 0 : [clientId], ip === undefined ? 0 : [ip]]);
}

export function isQuotaKey(key: unknown): key is QuotaKey {
  return typeof key === 'string' && Object.hasOwn(QUOTA_KEYS, key);
}

export function isStoredQuota(value: unknown): value is StoredQuota {
  const { entity, limits } = (value ?? {}) as Record<string, unknown>;
  if (typeof entity !== 'object' || entity === null || typeof limits !== 'object' || limits === null) return false;
  const names = Object.entries(entity);
  if (names.length === 0 || !names.every(([kind, name]) => ['user', 'clientId', 'ip'].includes(kind) && (name === null || typeof name === 'string')))
    return false;
  return Object.entries(limits).every(([key, limit]) => isQuotaKey(key) && typeof limit === 'number' && limit >= 0);
}
