// User functions with their types erased: the form in which operators hold them.
// Sound throughout: the public interfaces have matched input and output types when the chain was written, and compile links
// a node only to the inputs it was declared on.
import type { RecordContext } from '@millrace/topology';

export type ErasedMapper = (value: unknown, key: unknown, context: RecordContext) => unknown;
export type ErasedPredicate = (value: unknown, key: unknown, context: RecordContext) => boolean;
export type ErasedJoiner = (left: unknown, right: unknown, key: unknown) => unknown;
export type ErasedAdder = (aggregate: unknown, value: unknown, key: unknown, context: RecordContext) => unknown;
export type ErasedRowMapper = (value: unknown, key: unknown) => unknown;
export type ErasedRowPredicate = (value: unknown, key: unknown) => boolean;
