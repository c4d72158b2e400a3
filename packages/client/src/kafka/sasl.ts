// Login at the start of a connection: PLAIN and SCRAM.
// Owns: the two exchanges.  Never: puts a password into an error or a log line.
// S1 under SCRAM the broker must prove that it knows the password too.  Source: RFC 5802, RFC 7677, KIP-43, KIP-84.
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { type Chance, MillraceError } from '@millrace/core';
import { APIS, type Api, type RequestInput, type ResponseBody } from '@millrace/protocol';
import type { ConnectionOptions } from '../port.ts';
import { kafkaFailure } from './error-response.ts';

export type SaslOptions = NonNullable<ConnectionOptions['sasl']>;

/** What a login needs of a connection. */
export interface LoginExchange {
  requestAt<A extends Api>(api: A, version: number, body: RequestInput<A>, timeoutMs: number): Promise<ResponseBody<A>>;
  versionFor(api: Api): number;
}

/** Ours is a floor against a broker that asks for a trivial hash; the ceiling keeps a hostile one from burning our CPU. */
const ITERATIONS_MIN = 4096;
const ITERATIONS_MAX = 1_000_000;

/** Resolves with how long the login is good for, ms; 0: as long as the connection. */
export async function authenticate(exchange: LoginExchange, sasl: SaslOptions, chance: Chance, timeoutMs: number): Promise<number> {
  const mechanism = sasl.mechanism.toUpperCase();
  const hello = await exchange.requestAt(APIS.saslHandshake, exchange.versionFor(APIS.saslHandshake), { mechanism }, timeoutMs);
  if (hello.errorCode !== 0)
    throw kafkaFailure(hello.errorCode, `Login with ${mechanism}`, {}, `the broker offers ${hello.mechanisms.join(', ') || 'nothing'}`);
  const version = exchange.versionFor(APIS.saslAuthenticate);
  let lifetimeMs = 0;
  const send = async (text: string): Promise<string> => {
    const answer = await exchange.requestAt(APIS.saslAuthenticate, version, { authBytes: Buffer.from(text, 'utf8') }, timeoutMs);
    if (answer.errorCode !== 0) throw kafkaFailure(answer.errorCode, `Login of user "${sasl.username}"`, {}, answer.errorMessage);
    lifetimeMs = answer.sessionLifetimeMs;
    return answer.authBytes.toString('utf8');
  };
  if (sasl.mechanism === 'plain') await send(`\0${sasl.username}\0${sasl.password}`);
  else await scram(send, sasl, chance);
  return lifetimeMs;
}

async function scram(send: (text: string) => Promise<string>, sasl: SaslOptions, chance: Chance): Promise<void> {
  const digest = sasl.mechanism === 'scram-sha-256' ? 'sha256' : 'sha512';
  const nonce = Buffer.from(chance.bytes(24)).toString('base64url');
  const clientFirst = `n=${sasl.username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  const serverFirst = await send(`n,,${clientFirst}`);
  const fields = scramFields(serverFirst);
  const serverNonce = fields.get('r') ?? '';
  const iterations = Number(fields.get('i'));
  if (!serverNonce.startsWith(nonce) || serverNonce.length === nonce.length) throw loginFailure('the broker did not extend our nonce');
  if (!(iterations >= ITERATIONS_MIN && iterations <= ITERATIONS_MAX)) throw loginFailure(`the broker asks for ${fields.get('i')} iterations`);

  const salted = await saltedPassword(sasl.password, Buffer.from(fields.get('s') ?? '', 'base64'), iterations, digest);
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac(digest, key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=biws,r=${serverNonce}`;
  const message = `${clientFirst},${serverFirst},${withoutProof}`;
  const signature = hmac(createHash(digest).update(clientKey).digest(), message);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] as number)));
  const serverFinal = scramFields(await send(`${withoutProof},p=${proof.toString('base64')}`));
  const expected = hmac(hmac(salted, 'Server Key'), message);
  const proven = Buffer.from(serverFinal.get('v') ?? '', 'base64');
  if (proven.length !== expected.length || !timingSafeEqual(proven, expected))
    throw loginFailure(serverFinal.get('e') ?? 'the broker could not prove that it knows the password');
}

function saltedPassword(password: string, salt: Buffer, iterations: number, digest: 'sha256' | 'sha512'): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, digest === 'sha256' ? 32 : 64, digest, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

function scramFields(text: string): ReadonlyMap<string, string> {
  return new Map(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)] as const));
}

function loginFailure(reason: string): MillraceError {
  return new MillraceError('ERR_AUTHENTICATION', `Login failed: ${reason}. Check mechanism, user name and password in \`sasl\`.`);
}
