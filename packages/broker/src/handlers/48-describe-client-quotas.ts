// DescribeClientQuotas: quotas whose entity matches every component asked for; with `strict` those that have no further part. Serves versions 0-1.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { QuotaEntity } from '../security/quota/entity.ts';
import type { Quotas } from '../security/quota/quotas.ts';

type Request = RequestBody<typeof APIS.describeClientQuotas>;
type Response = ResponseInput<typeof APIS.describeClientQuotas>;
type Component = Request['components'][number];

const EXACT = 0;
const DEFAULT = 1;
const SPECIFIED = 2;

/** Names of the parts of an entity, as on the wire. */
export const ENTITY_TYPES = { user: 'user', 'client-id': 'clientId', ip: 'ip' } as const satisfies Record<string, keyof QuotaEntity>;

export function describeClientQuotasHandler(quotas: Quotas) {
  const handler: Handler<Request, Response> = ({ components, strict }) => {
    const unknown = components.find(({ entityType }) => entityType !== '' && !Object.hasOwn(ENTITY_TYPES, entityType));
    if (unknown !== undefined) {
      const errorMessage = `Entity type ${unknown.entityType} is not known; there are ${Object.keys(ENTITY_TYPES).join(', ')}.`;
      return { errorCode: ERROR_CODES.UNSUPPORTED_VERSION, errorMessage, entries: null };
    }
    const fault = faultOf(components);
    if (fault !== undefined) return { errorCode: ERROR_CODES.INVALID_REQUEST, errorMessage: fault, entries: null };
    const found = quotas
      .all()
      .filter(({ entity }) => components.every((component) => matches(entity, component)) && (!strict || Object.keys(entity).length === components.length));
    return {
      errorCode: ERROR_CODES.NONE,
      errorMessage: null,
      entries: found.map(({ entity, limits }) => ({
        entity: entityToWire(entity),
        values: Object.entries(limits).map(([key, value]) => ({ key, value })),
      })),
    };
  };
  return handlerEntry(APIS.describeClientQuotas.key, handler);
}

function entityToWire(entity: QuotaEntity) {
  return Object.entries(ENTITY_TYPES)
    .filter(([, field]) => entity[field] !== undefined)
    .map(([entityType, field]) => ({ entityType, entityName: entity[field] as string | null }));
}

function faultOf(components: readonly Component[]): string | undefined {
  const types = components.map(({ entityType }) => entityType);
  if (new Set(types).size < types.length) return 'An entity type is asked for twice.';
  if (types.includes('')) return 'An entity type is empty.';
  if (components.some(({ matchType, match }) => matchType === EXACT && match === null)) return 'An exact match needs a name.';
  if (components.some(({ matchType, match }) => matchType !== EXACT && match !== null)) return 'Only an exact match has a name.';
  const odd = components.find(({ matchType }) => matchType < EXACT || matchType > SPECIFIED);
  return odd === undefined ? undefined : `Match type ${odd.matchType} is not known.`;
}

function matches(entity: QuotaEntity, { entityType, matchType, match }: Component): boolean {
  const name = entity[ENTITY_TYPES[entityType as keyof typeof ENTITY_TYPES]];
  if (name === undefined) return false;
  return matchType === SPECIFIED || (matchType === DEFAULT ? name === null : name === match);
}
