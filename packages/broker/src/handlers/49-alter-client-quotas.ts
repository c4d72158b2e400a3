// AlterClientQuotas: sets and removes quotas; each entry by itself, on disk before the answer. Serves versions 0-1.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import { entityId, isQuotaKey, QUOTA_KEYS, type QuotaEntity, type StoredQuota } from '../security/quota/entity.ts';
import { QUOTAS_MAX, type Quotas } from '../security/quota/quotas.ts';
import { ENTITY_TYPES } from './48-describe-client-quotas.ts';

type Request = RequestBody<typeof APIS.alterClientQuotas>;
type Response = ResponseInput<typeof APIS.alterClientQuotas>;
type Entry = Request['entries'][number];

const NAME_LENGTH_MAX = 1_000;
/** What an address or a host name is made of. */
const HOST = /^[A-Za-z0-9._:%-]+$/;
const WHOLE: ReadonlySet<string> = new Set(['producer_byte_rate', 'consumer_byte_rate', 'connection_creation_rate']);

export function alterClientQuotasHandler(quotas: Quotas) {
  const handler: Handler<Request, Response> = ({ entries, validateOnly }) => {
    const seen = new Map<string, StoredQuota>();
    const faults = entries.map((entry) => {
      const entity = readEntity(entry);
      if (typeof entity === 'string') return entity;
      const next = applyOps(seen.get(entityId(entity)) ?? quotas.get(entity) ?? { entity, limits: {} }, entry.ops);
      if (typeof next === 'string') return next;
      if (quotas.all().length + seen.size >= QUOTAS_MAX) return `This broker keeps at most ${QUOTAS_MAX} quotas.`;
      seen.set(entityId(entity), next);
      return undefined;
    });
    if (!validateOnly && seen.size > 0) quotas.set([...seen.values()]);
    return {
      entries: entries.map(({ entity }, index) => ({
        errorCode: faults[index] === undefined ? ERROR_CODES.NONE : ERROR_CODES.INVALID_REQUEST,
        errorMessage: faults[index] ?? null,
        entity,
      })),
    };
  };
  return handlerEntry(APIS.alterClientQuotas.key, handler);
}

function readEntity({ entity }: Entry): QuotaEntity | string {
  if (entity.length === 0) return 'The entity is empty.';
  const read: { -readonly [K in keyof QuotaEntity]: string | null } = {};
  for (const { entityType, entityName } of entity) {
    if (!Object.hasOwn(ENTITY_TYPES, entityType)) return `Entity type ${entityType} is not known; there are ${Object.keys(ENTITY_TYPES).join(', ')}.`;
    const field = ENTITY_TYPES[entityType as keyof typeof ENTITY_TYPES];
    if (read[field] !== undefined) return `The entity names ${entityType} twice.`;
    if (entityName === '' || (entityName?.length ?? 0) > NAME_LENGTH_MAX) return `The name of ${entityType} is empty or too long.`;
    read[field] = entityName;
  }
  if (typeof read.ip === 'string' && !HOST.test(read.ip)) return `${read.ip} is neither an address nor the name of a host.`;
  if (read.ip !== undefined && entity.length > 1) return 'An address stands alone: it cannot be combined with a user or a client id.';
  return read;
}

function applyOps(quota: StoredQuota, ops: Entry['ops']): StoredQuota | string {
  const limits = { ...quota.limits };
  const kind = quota.entity.ip === undefined ? 'user' : 'ip';
  for (const { key, value, remove } of ops) {
    if (remove) {
      if (isQuotaKey(key)) delete limits[key]; // as Kafka: what is not there is not missed, whatever its name
      continue;
    }
    if (!isQuotaKey(key) || QUOTA_KEYS[key] !== kind) {
      const known = Object.entries(QUOTA_KEYS).filter(([, of]) => of === kind);
      return `Quota ${key} is not enforced here; for this entity there are ${known.map(([name]) => name).join(', ')}.`;
    }
    if (!(value > 0) || !Number.isFinite(value)) return `Quota ${key} is ${value}; it must be a number above 0.`;
    if (WHOLE.has(key) && !Number.isInteger(value)) return `Quota ${key} is ${value}; it must be a whole number.`;
    limits[key] = value;
  }
  return { entity: quota.entity, limits };
}
