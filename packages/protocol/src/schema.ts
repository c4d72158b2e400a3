// The language in which messages are written down as data: one value per field, with the versions it lives in.
// Owns: the field builders and the TypeScript types read off a schema.  Never: encodes (codec.ts compiles a schema for a version).
// S1 the order of properties in a struct is the order on the wire; tagged fields stand outside that order.
// S2 a field that a version does not carry decodes to its default, and is left out when encoding.

export type FieldType = 'bool' | 'int8' | 'int16' | 'uint16' | 'int32' | 'int64' | 'float64' | 'uuid' | 'string' | 'bytes' | 'records' | 'array' | 'struct';

export interface FieldOptions<T> {
  /** First version that carries the field (0). */
  readonly since?: number;
  /** Last version that carries it (all later ones). */
  readonly until?: number;
  /** First version in which null may be sent. */
  readonly nullable?: number;
  /** Number in the tag buffer; `since` then also is the first version with the tag. */
  readonly tag?: number;
  /** Value where the field is absent or left out by the caller. Default: null if nullable, else zero, '', [], a struct of defaults. */
  readonly default?: T | null;
}

/** One field. The two `$` properties exist only for the compiler: what decoding gives, what encoding takes, and whether it may be left out. */
export interface Field<Out = unknown, In = unknown, MayOmit extends boolean = boolean> {
  readonly type: FieldType;
  readonly since: number;
  readonly until: number;
  readonly nullable: number;
  readonly tag: number | undefined;
  readonly default: unknown;
  readonly element: Field | undefined;
  readonly fields: Fields | undefined;
  readonly $out?: Out;
  readonly $in?: In;
  readonly $mayOmit?: MayOmit;
}

export type Fields = { readonly [name: string]: Field };

/** What decoding gives. */
export type Decoded<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer Out, infer _In, infer _M> ? Out : never };

type RequiredNames<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer _Out, infer _In, infer M> ? (M extends true ? never : K) : never }[keyof F];
type InOf<T> = T extends Field<infer _Out, infer In, infer _M> ? In : never;
/** What encoding takes: fields with a default, a first version or a tag may be left out. */
export type Encodable<F extends Fields> = { readonly [K in RequiredNames<F>]: InOf<F[K]> } & {
  readonly [K in Exclude<keyof F, RequiredNames<F>>]?: InOf<F[K]> | undefined;
};

type NullIf<O> = O extends { readonly nullable: number } ? null : never;
type MayOmit<O> = O extends { readonly default: unknown } | { readonly since: number } | { readonly until: number } | { readonly tag: number } ? true : false;

const NEVER = 0x7fff;

function field(type: FieldType, zero: unknown, options: FieldOptions<unknown>, element?: Field, fields?: Fields): Field {
  const fallback = options.default !== undefined ? options.default : options.nullable !== undefined ? null : zero;
  return {
    type,
    since: options.since ?? 0,
    until: options.until ?? NEVER,
    nullable: options.nullable ?? NEVER,
    tag: options.tag,
    default: fallback,
    element,
    fields,
  };
}

function scalar<T>(type: FieldType, zero: unknown) {
  return <const O extends FieldOptions<T>>(options?: O): Field<T | NullIf<O>, T | NullIf<O>, MayOmit<O>> =>
    field(type, zero, options ?? {}) as Field<T | NullIf<O>, T | NullIf<O>, MayOmit<O>>;
}

export const bool = scalar<boolean>('bool', false);
export const int8 = scalar<number>('int8', 0);
export const int16 = scalar<number>('int16', 0);
export const uint16 = scalar<number>('uint16', 0);
export const int32 = scalar<number>('int32', 0);
/** A safe integer on our side: decoding refuses what is beyond 2^53-1. */
export const int64 = scalar<number>('int64', 0);
export const float64 = scalar<number>('float64', 0);
/** Unpadded base64url, 22 characters. */
export const uuid = scalar<string>('uuid', 'AAAAAAAAAAAAAAAAAAAAAA');
export const string = scalar<string>('string', '');

const NO_BYTES = Buffer.alloc(0);

/** Decodes to a view over the message. */
export function bytes<const O extends FieldOptions<Uint8Array>>(options?: O): Field<Buffer | NullIf<O>, Uint8Array | NullIf<O>, MayOmit<O>> {
  return field('bytes', NO_BYTES, options ?? {}) as Field<Buffer | NullIf<O>, Uint8Array | NullIf<O>, MayOmit<O>>;
}

/** What a `records` field takes: record batches in one piece or several, or nothing. */
export type RecordsInput = Uint8Array | readonly Uint8Array[] | null;

/** Record batches: null allowed; decodes to a view; may be given as several buffers, which are sent uncopied. */
export function records(options: FieldOptions<null> = {}): Field<Buffer | null, RecordsInput, false> {
  return field('records', null, { nullable: 0, ...options }) as Field<Buffer | null, RecordsInput, false>;
}

type ElementOut<E> = E extends Field<infer Out, infer _In, infer _M> ? Out : E extends Fields ? Decoded<E> : never;
type ElementIn<E> = E extends Field<infer _Out, infer In, infer _M> ? In : E extends Fields ? Encodable<E> : never;

function isField(value: Field | Fields): value is Field {
  return typeof (value as Field).type === 'string' && typeof (value as Field).since === 'number';
}

/** Array of fields (`array(int32())`) or of structs (`array({ … })`). */
export function array<const E extends Field | Fields, const O extends FieldOptions<readonly never[]>>(
  element: E,
  options?: O,
): Field<readonly ElementOut<E>[] | NullIf<O>, readonly ElementIn<E>[] | NullIf<O>, MayOmit<O>> {
  const of = isField(element) ? element : field('struct', undefined, {}, undefined, element);
  return field('array', [], options ?? {}, of) as Field<readonly ElementOut<E>[] | NullIf<O>, readonly ElementIn<E>[] | NullIf<O>, MayOmit<O>>;
}

/** A nested struct; a tagged one decodes to undefined when the tag is absent. */
export function struct<const F extends Fields, const O extends FieldOptions<never>>(
  fields: F,
  options?: O,
): Field<Decoded<F> | NullIf<O> | undefined, Encodable<F> | NullIf<O> | undefined, MayOmit<O>> {
  return field('struct', undefined, options ?? {}, undefined, fields) as Field<
    Decoded<F> | NullIf<O> | undefined,
    Encodable<F> | NullIf<O> | undefined,
    MayOmit<O>
  >;
}

/** Inclusive. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** One API: its request and response with every version we speak. */
export interface Api<Q extends Fields = Fields, S extends Fields = Fields, Key extends number = number> {
  readonly key: Key;
  readonly name: string;
  /** What this package can encode and decode. */
  readonly versions: VersionRange;
  /** First version with compact lengths and tag buffers; above every version if there is none. */
  readonly flexibleFrom: number;
  /** What the broker lists in ApiVersions; lower bounds may be below `versions` for the sake of librdkafka's feature map. */
  readonly advertised: VersionRange;
  /** What our own client asks for; undefined where it never calls this API. */
  readonly client: VersionRange | undefined;
  readonly request: Q;
  readonly response: S;
}

export type RequestBody<A> = A extends Api<infer Q, infer _S, infer _K> ? Decoded<Q> : never;
export type RequestInput<A> = A extends Api<infer Q, infer _S, infer _K> ? Encodable<Q> : never;
export type ResponseBody<A> = A extends Api<infer _Q, infer S, infer _K> ? Decoded<S> : never;
export type ResponseInput<A> = A extends Api<infer _Q, infer S, infer _K> ? Encodable<S> : never;

type Range = readonly [min: number, max: number];

/** Writes an API down. `flexible: undefined` = never. */
export function defineApi<const Q extends Fields, const S extends Fields, const Key extends number>(api: {
  readonly key: Key;
  readonly name: string;
  readonly versions: Range;
  readonly flexible: number | undefined;
  readonly advertised?: Range;
  readonly client?: Range | undefined;
  readonly request: Q;
  readonly response: S;
}): Api<Q, S, Key> {
  const range = ([min, max]: Range): VersionRange => ({ min, max });
  return {
    key: api.key,
    name: api.name,
    versions: range(api.versions),
    flexibleFrom: api.flexible ?? NEVER,
    advertised: range(api.advertised ?? api.versions),
    client: api.client === undefined ? undefined : range(api.client),
    request: api.request,
    response: api.response,
  };
}
