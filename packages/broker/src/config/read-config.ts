// A broker's configuration file: JSON in the shape of BrokerOptions, or `name.of.setting=value` lines.
// Owns: both forms and the messages about them.  Never: reads the file itself, repeats a value in a message (it may be a secret).
// C1 what is not known is refused, with the nearest name: a misspelt setting must not be silently without effect.
import { MillraceError } from '@millrace/core';
import type { BrokerOptions } from '../options.ts';
import { SETTINGS, type Setting } from './settings.ts';

/** A value read, and how a message names its place. */
type Tree = { [name: string]: Tree } | string;

/**
 * Reads the text of a configuration file; `file` is for messages. A text that begins with `{` is JSON. Throws ERR_OPTION: what, where, and what is right.
 *
 * @example
 * ```ts
 * const options = readBrokerConfig('port=9092\ndataDir=./broker-data\n', 'broker.properties');
 * ```
 */
export function readBrokerConfig(text: string, file: string): Partial<BrokerOptions> {
  const body = text.replace(/^\uFEFF/, '');
  const tree = body.trimStart().startsWith('{') ? parseJson(body, file) : parseProperties(body, file);
  // Sound: every path was checked against SETTINGS, whose shape is that of BrokerOptions; ranges are checked when the options are filled.
  return check(tree, SETTINGS, [], file) as Partial<BrokerOptions>;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const at = /position (\d+)/.exec(cause instanceof Error ? cause.message : '')?.[1];
    const line = at === undefined ? '' : ` near line ${text.slice(0, Number(at)).split('\n').length}`;
    // The parser's own message quotes the text, which may hold a password.
    throw new MillraceError('ERR_OPTION', `${file} is no valid JSON${line}. Correct it, or write one name=value per line.`, { file });
  }
}

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);

function parseProperties(text: string, file: string): Tree {
  const root: Tree = Object.create(null) as Tree;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    const equals = line.indexOf('=');
    if (equals < 1)
      throw new MillraceError(
        'ERR_OPTION',
        `Line ${index + 1} of ${file} is not understood. Write name=value, for example port=9092, or begin a comment with #.`,
        {
          file,
          line: index + 1,
        },
      );
    place(root, line.slice(0, equals).trim().split('.'), line.slice(equals + 1).trim(), file, index + 1);
  }
  return root;
}

function place(root: Tree, path: readonly string[], value: string, file: string, line: number): void {
  let at = root as { [name: string]: Tree };
  const users = 'security.sasl.users';
  // A user's name may hold dots: what follows the prefix is one name.
  const parts = path.join('.').startsWith(`${users}.`) ? [...users.split('.'), path.join('.').slice(users.length + 1)] : path;
  for (const part of parts.slice(0, -1)) {
    const next = at[part] ?? (at[part] = Object.create(null) as Tree);
    if (typeof next === 'string' || FORBIDDEN.has(part)) throw clash(path, file, line);
    at = next;
  }
  const last = parts.at(-1) as string;
  if (at[last] !== undefined || FORBIDDEN.has(last)) throw clash(path, file, line);
  at[last] = value;
}

function clash(path: readonly string[], file: string, line: number): MillraceError {
  return new MillraceError('ERR_OPTION', `Line ${line} of ${file} sets ${path.join('.')}, which is set before or cannot be set. Keep one of them.`, {
    file,
    line,
  });
}

function check(value: unknown, setting: Setting, path: readonly string[], file: string): unknown {
  const wrong = (what: string): MillraceError =>
    new MillraceError('ERR_OPTION', `${path.join('.') || 'The whole'} in ${file} must be ${what}.`, { file, option: path.join('.') });
  switch (setting.kind) {
    case 'text':
      if (typeof value === 'string') return value;
      throw wrong('a text');
    case 'number': {
      const read = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
      if (typeof read === 'number' && Number.isSafeInteger(read)) return read;
      throw wrong('a whole number');
    }
    case 'boolean':
      if (value === true || value === 'true') return true;
      if (value === false || value === 'false') return false;
      throw wrong('true or false');
    case 'one-of':
      if (typeof value === 'string' && setting.words.includes(value)) return value;
      throw wrong(`one of ${setting.words.join(', ')}`);
    case 'list':
      return listOf(value, setting, wrong).map((one, index) => check(one, setting.of, [...path, String(index)], file));
    case 'texts-by-name':
      if (!isPlain(value) || !Object.values(value).every((one) => typeof one === 'string')) throw wrong('names with a text each');
      return { ...value };
    case 'group':
      if (!isPlain(value)) throw wrong(`a group of settings: ${Object.keys(setting.fields).join(', ')}`);
      return Object.fromEntries(
        Object.entries(value).map(([name, one]) => {
          const field = Object.hasOwn(setting.fields, name) ? setting.fields[name] : undefined;
          if (field === undefined) throw unknown(name, Object.keys(setting.fields), path, file);
          return [name, check(one, field, [...path, name], file)];
        }),
      );
  }
}

function listOf(value: unknown, setting: Extract<Setting, { kind: 'list' }>, wrong: (what: string) => MillraceError): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === 'string' && setting.separator !== '')
    return value
      .split(setting.separator)
      .map((part) => part.trim())
      .filter((part) => part !== '');
  // In the properties form: rules.0.principal=…, rules.1.principal=…
  if (isPlain(value) && setting.of.kind === 'group' && Object.keys(value).every((name) => /^\d{1,5}$/.test(name)))
    return Object.entries(value)
      .sort(([left], [right]) => Number(left) - Number(right))
      .map(([, one]) => one);
  throw wrong('a list');
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknown(name: string, known: readonly string[], path: readonly string[], file: string): MillraceError {
  const full = [...path, name].join('.');
  const close = nearest(name, known);
  const hint = close === undefined ? `There are ${known.join(', ')}.` : `Did you mean ${[...path, close].join('.')}?`;
  return new MillraceError('ERR_OPTION', `${full} in ${file} is no setting of the broker. ${hint}`, { file, option: full });
}

const NAME_LENGTH_MAX = 64;
const EDITS_MAX = 3;

function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > NAME_LENGTH_MAX) return undefined;
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z]/g, '');
  const [best] = known.map((one) => ({ one, edits: editDistance(plain(name), plain(one)) })).sort((left, right) => left.edits - right.edits);
  return best !== undefined && best.edits <= Math.min(EDITS_MAX, name.length / 2) ? best.one : undefined;
}

/** How many letters must be changed, added or taken away. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let at = 1; at <= from.length; at++) {
    const next = [at];
    for (let column = 1; column <= to.length; column++) {
      const same = from[at - 1] === to[column - 1] ? 0 : 1;
      next.push(Math.min((row[column] as number) + 1, (next[column - 1] as number) + 1, (row[column - 1] as number) + same));
    }
    row = next;
  }
  return row[to.length] as number;
}
