// Every setting that a configuration file may hold, by its path, with the kind of value it takes.
// Owns: the table.  Never: parses text (read-config.ts), knows defaults or ranges (options.ts and its neighbours check those).

import { DEFAULT_GROUP_OPTIONS } from '../group/options.ts';
import { DEFAULT_LIMITS } from '../options.ts';
import { OPERATIONS, PATTERN_TYPES, PERMISSIONS, RESOURCE_TYPES } from '../security/access/rule.ts';
import { DEFAULT_TRANSACTION_OPTIONS } from '../transaction/options.ts';

export type Setting =
  | { readonly kind: 'text' | 'number' | 'boolean' }
  | { readonly kind: 'one-of'; readonly words: readonly string[] }
  /** `separator`: between the parts in the properties form. */
  | { readonly kind: 'list'; readonly of: Setting; readonly separator: string }
  /** Any names, each with a text. */
  | { readonly kind: 'texts-by-name' }
  | { readonly kind: 'group'; readonly fields: Readonly<Record<string, Setting>> };

const text = { kind: 'text' } as const;
const number = { kind: 'number' } as const;
const boolean = { kind: 'boolean' } as const;
const oneOf = (...words: readonly string[]) => ({ kind: 'one-of', words }) as const;
const group = (fields: Readonly<Record<string, Setting>>) => ({ kind: 'group', fields }) as const;
const numbers = (defaults: object): Setting => group(Object.fromEntries(Object.keys(defaults).map((name) => [name, number])));

export const SETTINGS = group({
  dataDir: text,
  host: text,
  port: number,
  advertisedHost: text,
  partitions: number,
  autoCreateTopics: boolean,
  fsync: oneOf('never', 'perBatchGroup'),
  groups: numbers(DEFAULT_GROUP_OPTIONS),
  transactions: numbers(DEFAULT_TRANSACTION_OPTIONS),
  limits: numbers(DEFAULT_LIMITS),
  security: group({
    exposeUnsafely: boolean,
    tls: group({
      key: text,
      cert: text,
      passphrase: text,
      ca: text,
      clientAuth: oneOf('none', 'requested', 'required'),
      minVersion: oneOf('TLSv1.2', 'TLSv1.3'),
    }),
    sasl: group({
      mechanisms: { kind: 'list', of: oneOf('plain', 'scram-sha-256', 'scram-sha-512'), separator: ',' },
      users: { kind: 'texts-by-name' },
      iterations: number,
      sessionMs: number,
      plainWithoutTls: boolean,
    }),
    authorization: group({
      superUsers: { kind: 'list', of: text, separator: ';' },
      allowIfNoRule: boolean,
      rules: {
        kind: 'list',
        of: group({
          principal: text,
          operation: oneOf(...Object.keys(OPERATIONS)),
          resourceType: oneOf(...Object.keys(RESOURCE_TYPES)),
          name: text,
          pattern: oneOf(...Object.keys(PATTERN_TYPES)),
          host: text,
          permission: oneOf(...Object.keys(PERMISSIONS)),
        }),
        separator: '',
      },
    }),
  }),
});
