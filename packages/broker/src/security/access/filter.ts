// Rules and filters as requests bring them, checked.
// Owns: which codes make sense.  Never: keeps a rule.
import {
  type AccessRule,
  ANY,
  ANY_PATTERN,
  MATCHING_PATTERNS,
  OPERATIONS,
  PATTERN_TYPES,
  PERMISSIONS,
  RESOURCE_TYPES,
  type RuleFilter,
  ruleFault,
  wordFor,
} from './rule.ts';

/** Longer names than any resource has; rules lie in memory. */
const TEXT_LENGTH_MAX = 1_000;

/** One sentence when the filter makes no sense. */
export function filterFault(filter: RuleFilter): string | undefined {
  const known = (table: Readonly<Record<string, number>>, code: number): boolean => code === ANY || wordFor(table, code) !== undefined;
  if (!known(RESOURCE_TYPES, filter.resourceTypeFilter)) return `Resource type ${filter.resourceTypeFilter} is not known.`;
  const { patternTypeFilter } = filter;
  if (patternTypeFilter !== ANY_PATTERN && patternTypeFilter !== MATCHING_PATTERNS && wordFor(PATTERN_TYPES, patternTypeFilter) === undefined)
    return `Pattern type ${patternTypeFilter} is not known.`;
  if (!known(OPERATIONS, filter.operation)) return `Operation ${filter.operation} is not known.`;
  return known(PERMISSIONS, filter.permissionType) ? undefined : `Permission type ${filter.permissionType} is not known.`;
}

/** A rule of CreateAcls. A sentence when it makes no sense. */
export function readRule(asked: {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly resourcePatternType: number;
  readonly principal: string;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}): AccessRule | string {
  const resourceType = wordFor(RESOURCE_TYPES, asked.resourceType);
  const pattern = wordFor(PATTERN_TYPES, asked.resourcePatternType);
  const operation = wordFor(OPERATIONS, asked.operation);
  const permission = wordFor(PERMISSIONS, asked.permissionType);
  if (resourceType === undefined) return `Resource type ${asked.resourceType} is not known.`;
  if (pattern === undefined) return `Pattern type ${asked.resourcePatternType} is not known; use literal or prefixed.`;
  if (operation === undefined) return `Operation ${asked.operation} is not known.`;
  if (permission === undefined) return `Permission type ${asked.permissionType} is not known; use allow or deny.`;
  const { resourceName: name, principal, host } = asked;
  if (name.length > TEXT_LENGTH_MAX || principal.length > TEXT_LENGTH_MAX || host.length > TEXT_LENGTH_MAX)
    return `A name, principal or host has more than ${TEXT_LENGTH_MAX} characters.`;
  const rule: AccessRule = { resourceType, name, pattern, principal, host, operation, permission };
  return ruleFault(rule) ?? rule;
}
