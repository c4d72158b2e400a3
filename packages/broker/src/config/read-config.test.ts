import { MillraceError } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { readBrokerConfig } from './read-config.ts';

const messageOf = (text: string): string => {
  try {
    readBrokerConfig(text, 'broker.conf');
  } catch (error) {
    if (MillraceError.is(error) && error.code === 'ERR_OPTION') return error.message;
    throw error;
  }
  return 'fine';
};

const OPTIONS = {
  dataDir: './data',
  port: 0,
  autoCreateTopics: false,
  fsync: 'perBatchGroup',
  limits: { connectionsMax: 50 },
  security: {
    tls: { key: 'server.key', cert: 'server.pem', clientAuth: 'required', ca: 'ca.pem' },
    sasl: { mechanisms: ['plain', 'scram-sha-512'], users: { ada: 'a=b, c#d', 'eve.smith': 'x' } },
    authorization: {
      superUsers: ['User:admin', 'User:CN=root,O=Mill'],
      rules: [
        { principal: 'User:ada', operation: 'read', resourceType: 'topic', name: 'orders-', pattern: 'prefixed' },
        { principal: 'User:*', operation: 'describe', resourceType: 'cluster' },
      ],
    },
  },
};

test('JSON in the shape of the options is the options', () => {
  expect(readBrokerConfig(`\uFEFF${JSON.stringify(OPTIONS, null, 2)}`, 'broker.json')).toEqual(OPTIONS);
});

test('lines of name=value say the same', () => {
  const text = `
# a comment
! another
dataDir = ./data
port=0
autoCreateTopics=false
fsync=perBatchGroup
limits.connectionsMax=50
security.tls.key=server.key
security.tls.cert=server.pem
security.tls.clientAuth=required
security.tls.ca=ca.pem
security.sasl.mechanisms=plain, scram-sha-512
security.sasl.users.ada=a=b, c#d
security.sasl.users.eve.smith=x
security.authorization.superUsers=User:admin;User:CN=root,O=Mill
security.authorization.rules.0.principal=User:ada
security.authorization.rules.0.operation=read
security.authorization.rules.0.resourceType=topic
security.authorization.rules.0.name=orders-
security.authorization.rules.0.pattern=prefixed
security.authorization.rules.1.principal=User:*
security.authorization.rules.1.operation=describe
security.authorization.rules.1.resourceType=cluster
`;
  expect(readBrokerConfig(text, 'broker.properties')).toEqual(OPTIONS);
});

describe('a mistake is said with its place and what is right', () => {
  test.each([
    ['{"port": "http"}', /port in broker\.conf must be a whole number/],
    ['port=http', /port in broker\.conf must be a whole number/],
    ['{"limits": {"connectionMax": 5}}', /limits\.connectionMax .*Did you mean limits\.connectionsMax\?/],
    ['data_dir=x', /Did you mean dataDir\?/],
    ['{"zebra": 1}', /zebra .*There are dataDir, host/],
    ['{"fsync": "always"}', /fsync .*one of never, perBatchGroup/],
    ['{"security": {"sasl": {"mechanisms": ["md5"]}}}', /security\.sasl\.mechanisms\.0 .*plain/],
    ['{"security": true}', /security .*a group of settings: exposeUnsafely, tls/],
    ['{"autoCreateTopics": "yes"}', /true or false/],
    ['[1]', /Line 1 .*name=value/],
    ['{"port": 1,,}', /no valid JSON/],
    ['port=1\nport=2', /Line 2 .*port/],
    ['port=1\nport.x=2', /Line 2/],
    ['just words', /Line 1/],
    ['__proto__.x=1', /Line 1/],
    ['{"__proto__": {"x": 1}}', /no setting/],
  ])('%s', (text, words) => {
    expect(messageOf(text)).toMatch(words);
  });

  test('and without the value, which may be a secret', () => {
    for (const text of [
      '{"security": {"sasl": {"users": {"ada": "canary-4711"},, }}}',
      '{"security": {"sasl": {"users": {"ada": ["canary-4711"]}}}}',
      'canary-4711',
      'security.tls.passphrase=ok\nsecurity.tls.passphrase=canary-4711',
      '{"port": "canary-4711"}',
    ]) {
      expect(messageOf(text)).not.toContain('canary-4711');
      expect(messageOf(text)).not.toBe('fine');
    }
  });
});
