// What a broker keeps of a password under SCRAM: enough to check a login, not enough to make one.
// Owns: the derivation of keys.  Never: keeps a password, compares anything.  Source: RFC 5802 section 3, RFC 7677, KIP-554.
import { createHash, createHmac, pbkdf2 } from 'node:crypto';

export const SCRAM_MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
export type ScramMechanism = (typeof SCRAM_MECHANISMS)[number];

/** Fewer would make stolen credentials cheap to try passwords on (RFC 7677). */
export const ITERATIONS_MIN = 4096;
/** As Kafka: more would let one login burn seconds of the client's CPU. */
export const ITERATIONS_MAX = 16_384;
export const SALT_BYTES = 24;

const DIGESTS = { 'SCRAM-SHA-256': { name: 'sha256', bytes: 32 }, 'SCRAM-SHA-512': { name: 'sha512', bytes: 64 } } as const;

export interface ScramCredential {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export function hmac(mechanism: ScramMechanism, key: Uint8Array, text: string): Buffer {
  return createHmac(DIGESTS[mechanism].name, key).update(text).digest();
}

export function digest(mechanism: ScramMechanism, bytes: Uint8Array): Buffer {
  return createHash(DIGESTS[mechanism].name).update(bytes).digest();
}

/** Bytes of a key, a proof or a signature. */
export function keyBytes(mechanism: ScramMechanism): number {
  return DIGESTS[mechanism].bytes;
}

/** From what an administrator's tool sends: the password was salted and stretched there. */
export function credentialFromSalted(mechanism: ScramMechanism, salt: Uint8Array, saltedPassword: Uint8Array, iterations: number): ScramCredential {
  return {
    salt: Buffer.from(salt),
    iterations,
    storedKey: digest(mechanism, hmac(mechanism, saltedPassword, 'Client Key')),
    serverKey: hmac(mechanism, saltedPassword, 'Server Key'),
  };
}

/** From a password; takes a few milliseconds on a thread of its own. */
export function deriveCredential(mechanism: ScramMechanism, password: string, salt: Uint8Array, iterations: number): Promise<ScramCredential> {
  const { name, bytes } = DIGESTS[mechanism];
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, bytes, name, (error, salted) => {
      if (error === null) resolve(credentialFromSalted(mechanism, salt, salted, iterations));
      else reject(error);
    });
  });
}
