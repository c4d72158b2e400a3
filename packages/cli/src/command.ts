// What a command is, and what it may touch: everything of the process comes in through CliDeps, so a test can be the process.
import { MillraceError, type Ports } from '@millrace/core';

export interface CliDeps {
  /** One line for the caller's eyes or pipe; the newline is added. */
  readonly printLine: (line: string) => void;
  readonly printError: (text: string) => void;
  readonly ports: Ports;
  /** Loads a module by its path from the current folder; rejects with the loader's own error. */
  readonly loadModule: (path: string) => Promise<Readonly<Record<string, unknown>>>;
  /** Calls `stop` on each SIGTERM and SIGINT until the returned function is called. */
  readonly onStop: (stop: () => void) => () => void;
  /** Calls `reload` on each SIGHUP until the returned function is called. */
  readonly onReload?: (reload: () => void) => () => void;
  /** Ends the process at once. */
  readonly exitNow: (code: number) => void;
}

/** Exit codes of every command. */
export const DONE = 0;
export const FAILED = 1;
export const USAGE = 2;

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Shown by --help: an example first, then the options. */
  readonly help: string;
  /** Resolves with the exit code. Throws UsageError, MillraceError. */
  run(args: readonly string[], deps: CliDeps): Promise<number>;
}

/** A command line that cannot be understood; the message says which part and what is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The values of `--name value` and `--name=value` options. Throws UsageError for anything not in `names`, given twice, or without a value. */
export function readOptions<Name extends string>(args: readonly string[], names: readonly Name[]): Partial<Record<Name, string>> {
  const found = new Map<Name, string>();
  for (let at = 0; at < args.length; at++) {
    const [flag, inline] = splitFlag(args[at] as string);
    const name = names.find((one) => `--${one}` === flag);
    if (name === undefined) throw new UsageError(`"${args[at]}" is not an option here; there are ${names.map((one) => `--${one}`).join(', ')}.`);
    if (found.has(name)) throw new UsageError(`--${name} is given more than once.`);
    const value = inline ?? args[++at];
    if (value === undefined || value === '' || (inline === undefined && value.startsWith('--'))) throw new UsageError(`--${name} needs a value.`);
    found.set(name, value);
  }
  return Object.fromEntries(found) as Partial<Record<Name, string>>;
}

function splitFlag(text: string): readonly [flag: string, inline: string | undefined] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** A whole number from `min` to `max`. Throws UsageError. */
export function readInteger(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw new UsageError(`--${name} is "${text}"; it must be a whole number from ${min} to ${max}.`);
  return value;
}

/** True for what went wrong outside of us and is said in the error's own words. */
export function isExplained(error: unknown): error is MillraceError {
  return MillraceError.is(error);
}
