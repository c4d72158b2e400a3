import { expect, test } from 'vitest';
import { errorFromWire, errorToWire, explainError, FAILURES, MillraceError } from './errors.ts';

test('an error says code, place, what follows and where to read on', () => {
  const error = new MillraceError('ERR_PORT_IN_USE', 'Port 1 is in use.', { port: 1 });
  expect(error).toMatchObject({
    name: 'MillraceError',
    code: 'ERR_PORT_IN_USE',
    where: { port: 1 },
    response: 'stop',
    retriable: false,
    docs: 'docs/errors.md#err_port_in_use',
  });
  expect(new MillraceError('ERR_CONNECTION', '').retriable).toBe(true);
});

test('the plain mark is told from other errors, also of another copy of the package', () => {
  expect(MillraceError.is(new MillraceError('ERR_OPTION', 'x'))).toBe(true);
  expect(MillraceError.is(Object.assign(new Error('x'), { [Symbol.for('millrace.error')]: true }))).toBe(true);
  expect(MillraceError.is(new Error('x'))).toBe(false);
  expect(MillraceError.is(undefined)).toBe(false);
});

test('code, place, stack and causes survive the way between threads', () => {
  const error = new MillraceError('ERR_PROCESS', 'mapper failed', { node: 'n1' }, new TypeError('no such field', { cause: 'plain text' }));
  const back = errorFromWire(structuredClone(errorToWire(error)));
  expect(back).toBeInstanceOf(MillraceError);
  expect(back).toMatchObject({ code: 'ERR_PROCESS', where: { node: 'n1' }, message: 'mapper failed', stack: error.stack });
  expect((back.cause as Error).message).toBe('no such field');
  expect(((back.cause as Error).cause as Error).message).toBe('plain text');
});

test('explaining an error gives the message, then each cause once', () => {
  const error = new MillraceError('ERR_CONNECTION', 'No broker.', {}, new Error('refused', { cause: new Error('refused') }));
  expect(explainError(error)).toBe('No broker. Caused by: refused');
  expect([new Error('No broker.'), new Error('and so on ...')].map(explainError)).toEqual(['No broker', 'and so on ...']); // the sentence around it brings one
  expect(explainError(new Error('cannot use d: EACCES, open d', { cause: new Error('EACCES, open d') }))).toBe('cannot use d: EACCES, open d');
});

test('every code is upper case words behind ERR_', () => {
  for (const code of Object.keys(FAILURES)) expect(code).toMatch(/^ERR(_[A-Z]+)+$/);
});
