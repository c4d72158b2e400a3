// The exchange printed in RFC 7677, section 3, and everything that must not get through.
import { createHash, createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { credentialFromSalted, deriveCredential, ITERATIONS_MIN } from './credential.ts';
import { type KnownUser, type LoginStep, ScramExchange } from './exchange.ts';

const CLIENT_NONCE = 'rOprNGfwEbeRWgbNEkqO';
const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const FIRST = `n,,n=user,r=${CLIENT_NONCE}`;
const FINAL = `c=biws,r=${CLIENT_NONCE}${SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;

const credential = await deriveCredential('SCRAM-SHA-256', 'pencil', SALT, ITERATIONS_MIN);

function exchange(find: (user: string) => KnownUser = () => ({ credential, exists: true })): ScramExchange {
  return new ScramExchange('SCRAM-SHA-256', find, SERVER_NONCE);
}
const say = (one: ScramExchange, text: string): LoginStep => one.step(Buffer.from(text));
const said = (step: LoginStep): string => (step.kind === 'refused' ? 'refused' : step.token.toString());

/** A client that knows the password, for any first message. */
function finalFor(first: string, answer: string, password = 'pencil', header = 'n,,'): string {
  const bare = first.slice(header.length);
  const salted = createPassword(password);
  const hmac = (key: Uint8Array, of: string): Buffer => createHmac('sha256', key).update(of).digest();
  const clientKey = hmac(salted, 'Client Key');
  const nonce = /^r=([^,]+)/.exec(answer)?.[1];
  const without = `c=${Buffer.from(header).toString('base64')},r=${nonce}`;
  const signature = hmac(createHash('sha256').update(clientKey).digest(), `${bare},${answer},${without}`);
  return `${without},p=${Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] as number))).toString('base64')}`;
}
/** Hi() of RFC 5802, written out: a second opinion on pbkdf2. */
function createPassword(password: string): Buffer {
  let round = createHmac('sha256', password)
    .update(Buffer.concat([SALT, Buffer.from([0, 0, 0, 1])]))
    .digest();
  const sum = Buffer.from(round);
  for (let at = 1; at < ITERATIONS_MIN; at++) {
    round = createHmac('sha256', password).update(round).digest();
    for (let byte = 0; byte < sum.length; byte++) sum[byte] = (sum[byte] as number) ^ (round[byte] as number);
  }
  return sum;
}

test('the broker says what RFC 7677 prints', () => {
  const one = exchange();
  expect(said(say(one, FIRST))).toBe(`r=${CLIENT_NONCE}${SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
  const done = say(one, FINAL);
  expect(said(done)).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  expect(done).toMatchObject({ kind: 'done', user: 'user' });
});

test('a credential from a salted password is the one from the password', () => {
  expect(credentialFromSalted('SCRAM-SHA-256', SALT, createPassword('pencil'), ITERATIONS_MIN)).toEqual(credential);
});

describe('is refused:', () => {
  test.each([
    ['a wrong proof', FIRST, FINAL.replace('dHzb', 'AHzb')],
    ['a proof that is too short', FIRST, FINAL.replace(/p=.*/, 'p=dHzbZapW')],
    ['no proof', FIRST, FINAL.replace(/,p=.*/, '')],
    ['another nonce', FIRST, FINAL.replace('rOpr', 'aOpr')],
    ['our nonce cut off', FIRST, FINAL.replace(SERVER_NONCE, '')],
    ['another channel binding', FIRST, FINAL.replace('c=biws', 'c=eSws')],
    ['an empty message', FIRST, ''],
  ])('%s', (_what, first, final) => {
    const one = exchange();
    expect(say(one, first).kind).toBe('continue');
    expect(say(one, final).kind).toBe('refused');
    expect(say(one, FINAL).kind, 'and nothing afterwards').toBe('refused');
  });

  test.each([
    ['channel binding', `p=tls-unique,,n=user,r=${CLIENT_NONCE}`],
    ['acting as somebody else', `n,a=admin,n=user,r=${CLIENT_NONCE}`],
    ['no name', `n,,n=,r=${CLIENT_NONCE}`],
    ['a broken escape in the name', `n,,n=us=er,r=${CLIENT_NONCE}`],
    ['no nonce', 'n,,n=user,r='],
    ['a delegation token', `n,,n=user,r=${CLIENT_NONCE},tokenauth=true`],
    ['a mandatory extension', `n,,m=x,n=user,r=${CLIENT_NONCE}`],
    ['bytes that are no text', '\xff\xfe\x00'],
    ['a message longer than any login needs', `${FIRST},x=${'x'.repeat(9_000)}`],
  ])('%s in the first message', (_what, first) => {
    expect(say(exchange(), first).kind).toBe('refused');
  });

  test('the right proof for a name nobody has', () => {
    const one = exchange(() => ({ credential, exists: false }));
    expect(say(one, FIRST).kind).toBe('continue');
    expect(say(one, FINAL).kind).toBe('refused');
  });
});

test('a name with a comma and an equals sign, and one that is named twice the same, are that name', () => {
  const names: string[] = [];
  const find = (user: string): KnownUser => {
    names.push(user);
    return { credential, exists: true };
  };
  for (const [first, header] of [
    [`n,,n=a=2Cb=3Dc,r=${CLIENT_NONCE}`, 'n,,'],
    [`y,a=ada,n=ada,r=${CLIENT_NONCE}`, 'y,a=ada,'],
  ] as const) {
    const one = exchange(find);
    const answer = said(say(one, first));
    expect(say(one, finalFor(first, answer, 'pencil', header)).kind).toBe('done');
  }
  expect(names).toEqual(['a,b=c', 'ada']);
});
