// Assertions for broken invariants (defects of ours). Mistakes of a user are a MillraceError instead.

/** Thrown when an invariant of Millrace itself is broken. Never caught to go on. */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** The end of an exhausted switch: a new case stops compiling here. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${JSON.stringify(value)}`);
}
