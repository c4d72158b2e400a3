// Decides whether somebody may do something: Kafka's rules for rules.
// Owns: the rules in force, from the configuration and from administrators, and the decision.  Never: knows requests (requirements.ts).
// A1 a super user may everything.  A2 a matching deny wins over every allow.  A3 who may read, write, delete or alter may describe; who may
// alter configs may describe them.  A deny is not widened like that.  A4 without a matching rule: no (or yes for resources without any rule, if
// the configuration says so).  Source: KIP-11, KIP-679; org.apache.kafka.metadata.authorizer.StandardAuthorizer.
import type { Counter } from '@millrace/core';
import type { StoredSecurityFile } from '../stored-security.ts';
import {
  type AccessRule,
  EVERY_HOST,
  EVERY_NAME,
  EVERY_PRINCIPAL,
  matchesFilter,
  OPERATIONS,
  OPERATIONS_OF,
  type Operation,
  type ResourceType,
  type RuleFilter,
  ruleId,
  takesIn,
} from './rule.ts';

/** More would make each change of the file slow; Kafka's own guidance for one cluster is below it. */
export const RULES_MAX = 10_000;

/** Who asks, and from where. */
export interface Asker {
  /** `User:alice`. */
  readonly principal: string;
  readonly host: string;
}

export interface AuthorizerOptions {
  readonly superUsers: readonly string[];
  /** allow.everyone.if.no.acl.found */
  readonly allowIfNoRule: boolean;
  readonly rules: readonly AccessRule[];
}

const IMPLIED_BY: Partial<Readonly<Record<Operation, readonly Operation[]>>> = {
  describe: ['read', 'write', 'delete', 'alter'],
  describeConfigs: ['alterConfigs'],
};

export class Authorizer {
  readonly #file: StoredSecurityFile;
  readonly #superUsers: ReadonlySet<string>;
  readonly #allowIfNoRule: boolean;
  readonly #configured: readonly AccessRule[];
  /** Counts every no, those behind a list that was cut too. */
  readonly #denied: Counter;
  #byType = new Map<ResourceType, readonly AccessRule[]>();

  constructor(file: StoredSecurityFile, options: AuthorizerOptions, denied: Counter) {
    this.#file = file;
    this.#denied = denied;
    this.#superUsers = new Set(options.superUsers);
    this.#allowIfNoRule = options.allowIfNoRule;
    this.#configured = options.rules;
    this.#index();
  }

  may(asker: Asker, operation: Operation, type: ResourceType, name: string): boolean {
    const yes = this.#decide(asker, operation, type, name);
    if (!yes) this.#denied.add();
    return yes;
  }

  #decide(asker: Asker, operation: Operation, type: ResourceType, name: string): boolean {
    if (this.#superUsers.has(asker.principal)) return true;
    let allowed = false;
    let ruled = false;
    for (const rule of this.#byType.get(type) ?? []) {
      if (!takesIn(rule, name)) continue;
      ruled = true;
      if (!concerns(rule, asker)) continue;
      if (rule.permission === 'deny') {
        if (rule.operation === 'all' || rule.operation === operation) return false;
      } else if (covers(rule, operation)) allowed = true;
    }
    return allowed || (!ruled && this.#allowIfNoRule);
  }

  /** True when there is at least one resource of the type that the asker may do this to (KIP-679). */
  mayAny(asker: Asker, operation: Operation, type: ResourceType): boolean {
    if (this.#superUsers.has(asker.principal)) return true;
    const mine = (this.#byType.get(type) ?? []).filter((rule) => concerns(rule, asker));
    const denies = mine.filter((rule) => rule.permission === 'deny' && (rule.operation === 'all' || rule.operation === operation));
    if (denies.some((rule) => rule.pattern === 'literal' && rule.name === EVERY_NAME)) return false;
    if (this.#allowIfNoRule) return true;
    return mine.some((rule) => rule.permission === 'allow' && covers(rule, operation) && !isTakenBack(rule, denies));
  }

  /** The operations the asker may do to a resource, as the bits that Metadata, DescribeGroups and DescribeCluster answer with. */
  operations(asker: Asker, type: ResourceType, name: string): number {
    let bits = 0;
    for (const operation of OPERATIONS_OF[type]) if (this.#decide(asker, operation, type, name)) bits |= 1 << OPERATIONS[operation];
    return bits;
  }

  // ---- rules ----------------------------------------------------------------------------------------------------------

  /** Those of the configuration included. */
  find(filter: RuleFilter): readonly AccessRule[] {
    return this.#all().filter((rule) => matchesFilter(rule, filter));
  }

  get storedCount(): number {
    return this.#file.now.rules.length;
  }

  /** On disk when this returns; rules that are there already change nothing. */
  add(rules: readonly AccessRule[]): void {
    const known = new Map([...this.#file.now.rules, ...rules].map((rule) => [ruleId(rule), rule]));
    this.#file.update({ rules: [...known.values()] });
    this.#index();
  }

  /** Takes away what matches any of the filters, on disk when this returns. Rules of the configuration stay: they are changed there. */
  remove(filters: readonly RuleFilter[]): readonly (readonly AccessRule[])[] {
    const { rules } = this.#file.now;
    const gone = filters.map((filter) => rules.filter((rule) => matchesFilter(rule, filter)));
    const doomed = new Set(gone.flat());
    if (doomed.size > 0) {
      this.#file.update({ rules: rules.filter((rule) => !doomed.has(rule)) });
      this.#index();
    }
    return gone;
  }

  #all(): readonly AccessRule[] {
    return [...this.#configured, ...this.#file.now.rules];
  }
  #index(): void {
    const byType = new Map<ResourceType, AccessRule[]>();
    for (const rule of this.#all()) {
      const same = byType.get(rule.resourceType);
      if (same === undefined) byType.set(rule.resourceType, [rule]);
      else same.push(rule);
    }
    this.#byType = byType;
  }
}

function concerns(rule: AccessRule, { principal, host }: Asker): boolean {
  return (rule.principal === principal || rule.principal === EVERY_PRINCIPAL) && (rule.host === host || rule.host === EVERY_HOST);
}

function covers(rule: AccessRule, operation: Operation): boolean {
  return rule.operation === 'all' || rule.operation === operation || (IMPLIED_BY[operation]?.includes(rule.operation) ?? false);
}

/** True when what an allow gives is wholly denied again. */
function isTakenBack(allow: AccessRule, denies: readonly AccessRule[]): boolean {
  if (allow.pattern === 'literal' && allow.name === EVERY_NAME) return false;
  return denies.some((deny) => (deny.pattern === 'prefixed' ? allow.name.startsWith(deny.name) : allow.pattern === 'literal' && deny.name === allow.name));
}
