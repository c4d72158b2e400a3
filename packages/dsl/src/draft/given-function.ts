// What a user hands to an operator must be a function: said where the operator is written, not when the first record comes.
import { MillraceError } from '@millrace/core';

/** `given` as it is. Throws ERR_OPTION for anything else than a function; `what` reads like "filter(): the predicate". */
export function givenFunction<F>(given: F, what: string): F {
  if (typeof given === 'function') return given;
  throw new MillraceError('ERR_OPTION', `${what} must be a function, but is ${shown(given)}.`, { option: what });
}

/** The functions that an object must bring. Throws ERR_OPTION for each that is missing, and for no object at all. */
export function givenFunctions<O>(given: O, names: readonly (keyof O & string)[], what: string): O {
  if (typeof given !== 'object' || given === null) {
    const all = names.map((name) => `${name}: …`).join(', ');
    throw new MillraceError('ERR_OPTION', `${what} needs { ${all} }, but was given ${shown(given)}.`, { option: what });
  }
  for (const name of names) givenFunction(given[name], `${what}: ${name}`);
  return given;
}

function shown(given: unknown): string {
  if (given === null || given === undefined || typeof given === 'number' || typeof given === 'boolean') return String(given);
  return typeof given === 'string' ? JSON.stringify(given) : `a ${typeof given}`;
}
