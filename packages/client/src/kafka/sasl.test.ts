import type { Chance } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { authenticate, type LoginExchange } from './sasl.ts';

// The exchange printed in RFC 7677, section 3.
const NONCE = 'rOprNGfwEbeRWgbNEkqO';
const BOTH = `${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`;
const FIRST = `r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
const PROOF = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';
const SIGNATURE = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';
const SASL = { mechanism: 'scram-sha-256', username: 'user', password: 'pencil' } as const;

async function login(...answers: readonly string[]): Promise<readonly string[]> {
  const sent: string[] = [];
  const left = [...answers];
  const requestAt = (api: { readonly key: number }, _version: number, body: unknown): Promise<unknown> => {
    if (api.key === APIS.saslHandshake.key) return Promise.resolve({ errorCode: 0, mechanisms: ['SCRAM-SHA-256'] });
    sent.push(Buffer.from((body as { authBytes: Uint8Array }).authBytes).toString());
    return Promise.resolve({ errorCode: 0, errorMessage: null, authBytes: Buffer.from(left.shift() ?? ''), sessionLifetimeMs: 0 });
  };
  // Sound: the two bodies above are those of the two APIs.
  const exchange = { requestAt, versionFor: () => 1 } as unknown as LoginExchange;
  const chance = { bytes: () => Buffer.from(NONCE, 'base64') } as unknown as Chance;
  await authenticate(exchange, SASL, chance, 1_000);
  return sent;
}

describe('SCRAM-SHA-256', () => {
  test('says what RFC 7677 prints', async () => {
    expect(await login(FIRST, SIGNATURE)).toEqual([`n,,n=user,r=${NONCE}`, `c=biws,r=${BOTH},p=${PROOF}`]);
  });

  test.each([
    ['cannot prove that it knows the password', [FIRST, 'v=AAAA'], /could not prove/],
    ['says why it refuses', [FIRST, 'e=invalid-proof'], /invalid-proof/],
    ['does not extend our nonce', [`r=somebody,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`], /nonce/],
    ['asks for too few iterations', [`r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1`], /iterations/],
    ['asks for too many iterations', [`r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999`], /iterations/],
  ])('a broker that %s is not trusted', async (_what, answers, message) => {
    await expect(login(...answers)).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION', message: expect.stringMatching(message) });
  });
});
