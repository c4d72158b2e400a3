// Access rules by Kafka's model: who may (or may not) do what, from where, to which resource.
// Owns: the words with their codes on the wire, the form of a rule, and which rules a filter matches.  Never: decides (authorizer.ts).
// Source: KIP-11, KIP-290 (prefixes); codes of org.apache.kafka.common.acl and .resource.

export const RESOURCE_TYPES = { topic: 2, group: 3, cluster: 4, transactionalId: 5, delegationToken: 6, user: 7 } as const;
export type ResourceType = keyof typeof RESOURCE_TYPES;

export const PATTERN_TYPES = { literal: 3, prefixed: 4 } as const;
export type PatternType = keyof typeof PATTERN_TYPES;
/** In filters only: any pattern type, or every pattern that takes the name in. */
export const ANY_PATTERN = 1;
export const MATCHING_PATTERNS = 2;

export const OPERATIONS = {
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
  createTokens: 13,
  describeTokens: 14,
} as const;
export type Operation = keyof typeof OPERATIONS;

export const PERMISSIONS = { deny: 2, allow: 3 } as const;
export type Permission = keyof typeof PERMISSIONS;

/** In filters: everything. */
export const ANY = 1;
export const EVERY_PRINCIPAL = 'User:*';
export const EVERY_HOST = '*';
export const EVERY_NAME = '*';
/** The one resource of type cluster. */
export const CLUSTER_NAME = 'kafka-cluster';

export interface AccessRule {
  readonly resourceType: ResourceType;
  /** A name, a prefix, or `*` (literal: every name). */
  readonly name: string;
  readonly pattern: PatternType;
  /** `User:alice`, or `User:*` for everybody. */
  readonly principal: string;
  /** An address, or `*`. */
  readonly host: string;
  readonly operation: Operation;
  readonly permission: Permission;
}

/** What each type of resource may be asked for. Source: KIP-11 and its followers. */
export const OPERATIONS_OF: Readonly<Record<ResourceType, readonly Operation[]>> = {
  topic: ['read', 'write', 'create', 'delete', 'alter', 'describe', 'describeConfigs', 'alterConfigs'],
  group: ['read', 'delete', 'describe', 'describeConfigs', 'alterConfigs'],
  cluster: ['create', 'clusterAction', 'describeConfigs', 'alterConfigs', 'idempotentWrite', 'alter', 'describe'],
  transactionalId: ['describe', 'write'],
  delegationToken: ['describe'],
  user: ['createTokens', 'describeTokens'],
};

/** The bits of all operations on such a resource: what everybody may do where access is not controlled. */
export function everyOperation(type: ResourceType): number {
  return OPERATIONS_OF[type].reduce((bits, operation) => bits | (1 << OPERATIONS[operation]), 0);
}

/** A filter as the wire brings it: null and ANY match everything. */
export interface RuleFilter {
  readonly resourceTypeFilter: number;
  readonly resourceNameFilter: string | null;
  readonly patternTypeFilter: number;
  readonly principalFilter: string | null;
  readonly hostFilter: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

export function matchesFilter(rule: AccessRule, filter: RuleFilter): boolean {
  const anyOr = (wanted: number, code: number): boolean => wanted === ANY || wanted === code;
  return (
    anyOr(filter.resourceTypeFilter, RESOURCE_TYPES[rule.resourceType]) &&
    matchesName(rule, filter) &&
    (filter.principalFilter === null || filter.principalFilter === rule.principal) &&
    (filter.hostFilter === null || filter.hostFilter === rule.host) &&
    anyOr(filter.operation, OPERATIONS[rule.operation]) &&
    anyOr(filter.permissionType, PERMISSIONS[rule.permission])
  );
}

function matchesName(rule: AccessRule, filter: RuleFilter): boolean {
  const { resourceNameFilter: name, patternTypeFilter: pattern } = filter;
  if (pattern !== ANY_PATTERN && pattern !== MATCHING_PATTERNS && pattern !== PATTERN_TYPES[rule.pattern]) return false;
  if (name === null) return true;
  return pattern === MATCHING_PATTERNS ? takesIn(rule, name) : rule.name === name;
}

/** True when the rule's pattern takes in a resource of that name. */
export function takesIn(rule: Pick<AccessRule, 'name' | 'pattern'>, name: string): boolean {
  return rule.pattern === 'prefixed' ? name.startsWith(rule.name) : rule.name === name || rule.name === EVERY_NAME;
}

/** Rules that say the same have the same text. */
export function ruleId(rule: AccessRule): string {
  return JSON.stringify([rule.resourceType, rule.pattern, rule.name, rule.principal, rule.host, rule.operation, rule.permission]);
}

/** Undefined when the rule makes sense, else one sentence. */
export function ruleFault(rule: AccessRule): string | undefined {
  if (rule.name === '') return 'The name of the resource is empty.';
  if (!/^[A-Za-z]+:.+$/s.test(rule.principal)) return `The principal "${rule.principal}" must have the form User:name.`;
  if (rule.host === '') return 'The host is empty; * stands for every host.';
  if (rule.resourceType === 'cluster' && (rule.name !== CLUSTER_NAME || rule.pattern !== 'literal'))
    return `The only resource of type cluster is the literal ${CLUSTER_NAME}.`;
  if (rule.operation !== 'all' && !OPERATIONS_OF[rule.resourceType].includes(rule.operation))
    return `A ${rule.resourceType} has no operation ${rule.operation}; there are all, ${OPERATIONS_OF[rule.resourceType].join(', ')}.`;
  return undefined;
}

export function isAccessRule(value: unknown): value is AccessRule {
  if (typeof value !== 'object' || value === null) return false;
  const { resourceType, name, pattern, principal, host, operation, permission } = value as Record<string, unknown>;
  return (
    isKey(RESOURCE_TYPES, resourceType) &&
    typeof name === 'string' &&
    isKey(PATTERN_TYPES, pattern) &&
    typeof principal === 'string' &&
    typeof host === 'string' &&
    isKey(OPERATIONS, operation) &&
    isKey(PERMISSIONS, permission)
  );
}

export function isKey<T extends object>(table: T, key: unknown): key is keyof T {
  return typeof key === 'string' && Object.hasOwn(table, key);
}

/** The word for a code; undefined for one nobody knows. */
export function wordFor<T extends Readonly<Record<string, number>>>(table: T, code: number): keyof T | undefined {
  return Object.keys(table).find((word) => table[word] === code);
}
