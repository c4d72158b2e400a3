// JSON, plain or behind any Standard Schema validator.
// A value that JSON would not bring back is refused with its path: always behind a schema error, by sample without one.
import { asBuffer } from '../bytes.ts';
import { MillraceError } from '../errors.ts';
import type { Serde } from './serde.ts';
import { describe } from './text.ts';

/** What any validator of the Standard Schema convention (zod, valibot, arktype …) looks like from here. */
export interface SchemaLike<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}
type SchemaResult<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };
interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
export type SchemaOutput<S extends SchemaLike> = NonNullable<S['~standard']['types']>['output'];
export type SchemaInput<S extends SchemaLike> = NonNullable<S['~standard']['types']>['input'];

/** What JSON text brings back unchanged. */
export type Json<T> = T extends string | number | boolean | null | undefined ? T : T extends NotPlain ? never : { [P in keyof T]: Json<T[P]> };
type NotPlain = bigint | symbol | Date | Uint8Array | Map<unknown, unknown> | Set<unknown> | ((...args: never) => unknown);
export interface NotJson {
  readonly 'JSON would not bring this type back: use a schema, or map it first': never;
}

/** Values looked through in full at the start of a serde's life, and how often after that: mistakes show at once, hot paths pay next to nothing. */
const CHECKED_FIRST = 1000;
const CHECKED_EVERY = 256;

/** Any Standard Schema validator. Validated on read and on write; issues go to the error policy. Used as a key: properties are sorted. */
export function json<S extends SchemaLike>(schema: S): Serde<SchemaOutput<S>, SchemaInput<S>>;
/** Trusted, unvalidated JSON. */
export function json<T>(): [T] extends [Json<T>] ? Serde<T> : NotJson;
export function json(schema?: SchemaLike): Serde<unknown> | NotJson {
  let seen = 0;
  const toText = (value: unknown, role: 'key' | 'value'): string => {
    const valid = schema === undefined ? value : validate(schema, value, 'written');
    // Transformed output is what readers get; what is stored is the input form, which validation has accepted.
    const stored = schema === undefined ? valid : value;
    if (seen++ < CHECKED_FIRST || seen % CHECKED_EVERY === 0) refuseNotJson(stored, '');
    const text = JSON.stringify(role === 'key' ? sorted(stored) : stored);
    if (text === undefined) throw new MillraceError('ERR_VALUE_NOT_JSON', `JSON has no form for ${describe(stored)}`);
    return text;
  };
  const fromText = (text: string): unknown => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new MillraceError('ERR_RECORD_UNDECODABLE', `not JSON: ${(error as Error).message}`);
    }
    return schema === undefined ? value : validate(schema, value, 'read');
  };
  return {
    format: 'json',
    serialize: (value, info) => Buffer.from(toText(value, info.role), 'utf8'),
    deserialize: (bytes) => fromText(asBuffer(bytes).toString('utf8')),
    '~direct': { kind: 'text', toText, fromText },
  };
}

function validate(schema: SchemaLike, value: unknown, what: 'read' | 'written'): unknown {
  const result = schema['~standard'].validate(value);
  if (result instanceof Promise)
    throw new MillraceError(
      'ERR_SCHEMA',
      `a schema with asynchronous checks cannot be used in a serde (vendor ${schema['~standard'].vendor}); validate in an async operator instead`,
    );
  if (result.issues !== undefined) {
    const issues = result.issues
      .slice(0, 3)
      .map((issue) => `${(issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.') || 'value'}: ${issue.message}`);
    throw new MillraceError('ERR_SCHEMA', `the value ${what} does not match its schema (${issues.join('; ')})`);
  }
  return result.value;
}

function refuseNotJson(value: unknown, path: string): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || value === undefined) return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) refuseNotJson(value[at], `${path}[${at}]`);
    return;
  }
  if (typeof value === 'object') {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      for (const key of Object.keys(value)) refuseNotJson((value as Record<string, unknown>)[key], path === '' ? key : `${path}.${key}`);
      return;
    }
  }
  throw new MillraceError(
    'ERR_VALUE_NOT_JSON',
    `${path === '' ? 'the value' : `property ${path} of the value`} is ${describe(value)}, which JSON cannot hold: it would be read back as something else. Map it to plain data first, or use a schema or another serde.`,
  );
}

/** The same data with properties in code-unit order, so that equal keys are equal bytes. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const out: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(value).sort()) out[key] = sorted((value as Record<string, unknown>)[key]);
  return out;
}
