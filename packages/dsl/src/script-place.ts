// Where in the user's script a mistake was made: the first line of the stack that is not Millrace's own.
// Never: more than a hint. Where a runtime keeps no readable stack, the error stays as it is.
import { fileURLToPath } from 'node:url';
import { MillraceError } from '@millrace/core';

/** Where all packages lie, installed or in the repository. */
const OWN = fileURLToPath(new URL('../../', import.meta.url));

const FRAMES = 40;

/** Runs `build`; a MillraceError that comes out of it gets the line of the script, in `where.script` and at the end of its message. */
export function placingErrors<T>(build: () => T): T {
  // Ten frames, the usual number, may all be ours: what is found only when the graph is complete lies deep. Put back before anything else runs.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  try {
    return build();
  } catch (error) {
    throw MillraceError.is(error) ? placed(error) : error;
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Where in the script each operator, store and repartition topic was written: for mistakes that show only when the graph is complete. */
export class ScriptPlaces {
  readonly #places = new Map<string, Error>();

  /** Of several of one name the last one counts: it is the one too many. */
  note(...names: readonly string[]): void {
    const here = new Error('here');
    for (const name of names) this.#places.set(name, here);
  }

  /** The error with the line of what it is about. */
  blame(error: MillraceError): MillraceError {
    const { node, store, topic } = error.where;
    const found = [node, store, topic].flatMap((name) => this.#places.get(String(name)) ?? [])[0];
    return found === undefined ? error : placed(error, found.stack);
  }
}

function placed(error: MillraceError, stack = error.stack): MillraceError {
  const script = scriptLine(stack ?? '', OWN);
  if (script === undefined || error.where.script !== undefined) return error;
  const message = `${error.message} (${script})`;
  const better = new MillraceError(error.code, message, { ...error.where, script }, error.cause);
  if (error.stack !== undefined) better.stack = error.stack.replace(error.message, message);
  return better;
}

/** `file:line:column` of the first frame outside of `own`; undefined if there is none. */
export function scriptLine(stack: string, own: string): string | undefined {
  for (const line of stack.split('\n')) {
    const found = /^\s+at (?:.*\()?((?:file:\/\/|\/|[A-Za-z]:[\\/])[^()]*):(\d+):(\d+)\)?$/.exec(line);
    if (found === null) continue;
    const [, file = '', row, column] = found;
    const path = file.startsWith('file://') ? fileURLToPath(file) : file;
    if (!path.startsWith(own)) return `${path}:${row}:${column}`;
  }
  return undefined;
}
