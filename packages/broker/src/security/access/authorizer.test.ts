import { MetricRegistry, memoryDisk, seededChance } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { StoredSecurityFile } from '../stored-security.ts';
import { Authorizer, type AuthorizerOptions } from './authorizer.ts';
import { type AccessRule, ANY, ANY_PATTERN, CLUSTER_NAME, MATCHING_PATTERNS, PATTERN_TYPES, type RuleFilter } from './rule.ts';

function authorizer(rules: readonly Partial<AccessRule>[] = [], options: Partial<AuthorizerOptions> = {}, disk = memoryDisk()): Authorizer {
  disk.makeDirectory('/data');
  const file = new StoredSecurityFile(disk, '/data', seededChance(1));
  return new Authorizer(file, { superUsers: [], allowIfNoRule: false, rules: rules.map(rule), ...options }, new MetricRegistry().counter('denied'));
}
const rule = (part: Partial<AccessRule>): AccessRule => ({
  resourceType: 'topic',
  name: 't',
  pattern: 'literal',
  principal: 'User:ada',
  host: '*',
  operation: 'read',
  permission: 'allow',
  ...part,
});
const ada = { principal: 'User:ada', host: '10.0.0.1' };
const ALL: RuleFilter = {
  resourceTypeFilter: ANY,
  resourceNameFilter: null,
  patternTypeFilter: ANY_PATTERN,
  principalFilter: null,
  hostFilter: null,
  operation: ANY,
  permissionType: ANY,
};

describe('a decision', () => {
  test.each<[string, readonly Partial<AccessRule>[], boolean]>([
    ['is no without any rule', [], false],
    ['is yes by a rule for that very name', [{}], true],
    ['is no by a rule for another name', [{ name: 'other' }], false],
    ['is no by a rule for another type', [{ resourceType: 'group' }], false],
    ['is yes by the wildcard', [{ name: '*' }], true],
    ['is yes by a prefix', [{ name: 't', pattern: 'prefixed' }], true],
    ['takes a prefixed star for a letter', [{ name: '*', pattern: 'prefixed' }], false],
    ['is yes for everybody', [{ principal: 'User:*' }], true],
    ['is no for another user', [{ principal: 'User:bob' }], false],
    ['is yes from that address', [{ host: '10.0.0.1' }], true],
    ['is no from another address', [{ host: '10.0.0.2' }], false],
    ['is yes by the right to all operations', [{ operation: 'all' }], true],
    ['is no by the right to write', [{ operation: 'write' }], false],
    ['is no when a deny matches beside an allow', [{}, { permission: 'deny' }], false],
    ['is no when everything is denied to everybody', [{}, { permission: 'deny', principal: 'User:*', name: '*', operation: 'all' }], false],
    ['is no when a prefix is denied', [{}, { permission: 'deny', name: '', pattern: 'prefixed' }], false],
    ['is yes when another operation is denied', [{}, { permission: 'deny', operation: 'write' }], true],
    ['is yes when it is denied to somebody else', [{}, { permission: 'deny', principal: 'User:bob' }], true],
    ['is yes when it is denied elsewhere', [{}, { permission: 'deny', host: '10.0.0.2' }], true],
  ])('%s', (_what, rules, yes) => {
    expect(authorizer(rules).may(ada, 'read', 'topic', 't')).toBe(yes);
  });

  test.each(['read', 'write', 'delete', 'alter'] as const)('to describe follows from the right to %s, but a deny of it does not take it away', (operation) => {
    expect(authorizer([{ operation }]).may(ada, 'describe', 'topic', 't')).toBe(true);
    expect(authorizer([{ operation: 'describe' }, { operation, permission: 'deny' }]).may(ada, 'describe', 'topic', 't')).toBe(true);
    expect(authorizer([{ operation }, { operation: 'describe', permission: 'deny' }]).may(ada, 'describe', 'topic', 't')).toBe(false);
  });

  test('to describe configs follows from the right to alter them, and from nothing else', () => {
    expect(authorizer([{ operation: 'alterConfigs' }]).may(ada, 'describeConfigs', 'topic', 't')).toBe(true);
    expect(authorizer([{ operation: 'alter' }]).may(ada, 'describeConfigs', 'topic', 't')).toBe(false);
  });

  test('is yes for a super user whatever is denied', () => {
    const strict = authorizer([{ permission: 'deny', operation: 'all' }], { superUsers: ['User:ada'] });
    expect(strict.may(ada, 'delete', 'topic', 't')).toBe(true);
    expect(strict.mayAny(ada, 'write', 'topic')).toBe(true);
  });

  test('on a resource without any rule is what the configuration says', () => {
    const open = authorizer([{ name: 'ruled', principal: 'User:bob' }], { allowIfNoRule: true });
    expect(open.may(ada, 'read', 'topic', 't')).toBe(true);
    expect(open.may(ada, 'read', 'topic', 'ruled')).toBe(false);
  });
});

describe('the right to do something to any topic', () => {
  test.each<[string, readonly Partial<AccessRule>[], boolean]>([
    ['is there with one name', [{ operation: 'write' }], true],
    ['is not there without a rule', [], false],
    ['is gone when that name is denied', [{ operation: 'write' }, { operation: 'write', permission: 'deny' }], false],
    [
      'is gone when a prefix of it is denied',
      [
        { name: 'abc', operation: 'write' },
        { name: 'ab', pattern: 'prefixed', operation: 'all', permission: 'deny' },
      ],
      false,
    ],
    [
      'stays when a longer prefix is denied',
      [
        { name: 'ab', pattern: 'prefixed', operation: 'write' },
        { name: 'abc', pattern: 'prefixed', operation: 'all', permission: 'deny' },
      ],
      true,
    ],
    ['is gone when everything is denied', [{ operation: 'write' }, { name: '*', operation: 'all', permission: 'deny' }], false],
    [
      'stays with the wildcard when one name is denied',
      [
        { name: '*', operation: 'write' },
        { operation: 'write', permission: 'deny' },
      ],
      true,
    ],
  ])('%s', (_what, rules, yes) => {
    expect(authorizer(rules).mayAny(ada, 'write', 'topic')).toBe(yes);
  });
});

describe('rules', () => {
  test('that are added are there after a restart; those of the configuration are shown and not taken away', () => {
    const disk = memoryDisk();
    const first = authorizer([{ name: 'configured' }], {}, disk);
    first.add([rule({ name: 'added' }), rule({ name: 'added' })]);
    expect(first.storedCount).toBe(1);
    const second = authorizer([{ name: 'configured' }], {}, disk);
    expect(second.find(ALL).map(({ name }) => name)).toEqual(['configured', 'added']);
    expect(
      second
        .remove([ALL])
        .flat()
        .map(({ name }) => name),
    ).toEqual(['added']);
    expect(second.may(ada, 'read', 'topic', 'configured')).toBe(true);
    expect(second.may(ada, 'read', 'topic', 'added')).toBe(false);
  });

  test('are found by name, or by what takes a name in', () => {
    const many = authorizer([{ name: 'orders' }, { name: 'ord', pattern: 'prefixed' }, { name: '*' }, { name: 'else' }]);
    const names = (filter: Partial<RuleFilter>): string[] => many.find({ ...ALL, ...filter }).map(({ name }) => name);
    expect(names({ resourceNameFilter: 'orders' })).toEqual(['orders']);
    expect(names({ resourceNameFilter: 'orders', patternTypeFilter: MATCHING_PATTERNS })).toEqual(['orders', 'ord', '*']);
    expect(names({ patternTypeFilter: PATTERN_TYPES.prefixed })).toEqual(['ord']);
    expect(names({ principalFilter: 'User:bob' })).toEqual([]);
    expect(many.find({ ...ALL, resourceNameFilter: CLUSTER_NAME })).toEqual([]);
  });
});
