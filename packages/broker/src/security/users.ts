// Who may log in, and how a login is checked: users of the configuration, and users that administrators have added over the wire.
// Owns: credentials in memory and their changes.  Never: keeps a password in readable form, says whether a user exists.
// U1 a name nobody has is treated like one: a salt that stays the same, a comparison of the same cost.
// U2 a credential added over the wire counts before one of the configuration with the same name and mechanism.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Chance } from '@millrace/core';
import { deriveCredential, keyBytes, SALT_BYTES, SCRAM_MECHANISMS, type ScramCredential, type ScramMechanism } from './scram/credential.ts';
import type { KnownUser } from './scram/exchange.ts';
import type { StoredCredential, StoredSecurityFile } from './stored-security.ts';

/** More than a single node is made for; the file is rewritten whole at every change. */
export const CREDENTIALS_MAX = 10_000;

export interface CredentialChange {
  readonly user: string;
  readonly mechanism: ScramMechanism;
  /** undefined: taken away. */
  readonly credential: ScramCredential | undefined;
}

export class Users {
  readonly #file: StoredSecurityFile;
  readonly #configured = new Map<string, ScramCredential>();
  /** HMACs of the configured passwords under a key of this process, for PLAIN. */
  readonly #passwords = new Map<string, Buffer>();
  readonly #passwordKey: Buffer;
  readonly #decoyIterations: number;
  #stored = new Map<string, StoredCredential>();

  private constructor(file: StoredSecurityFile, chance: Chance, iterations: number) {
    this.#file = file;
    this.#passwordKey = Buffer.from(chance.bytes(32));
    this.#decoyIterations = iterations;
    this.#index();
  }

  /** Derives the credentials of the configured users: some milliseconds each. */
  static async open(
    file: StoredSecurityFile,
    chance: Chance,
    configured: Readonly<Record<string, string>>,
    mechanisms: readonly string[],
    iterations: number,
  ): Promise<Users> {
    const users = new Users(file, chance, iterations);
    const scram = SCRAM_MECHANISMS.filter((mechanism) => mechanisms.includes(mechanism));
    await Promise.all(
      Object.entries(configured).map(async ([user, password]) => {
        users.#passwords.set(user, users.#seal(password));
        for (const mechanism of scram)
          users.#configured.set(keyOf(mechanism, user), await deriveCredential(mechanism, password, users.#salt(mechanism, user), iterations));
      }),
    );
    return users;
  }

  /** What SCRAM needs to ask a user for a proof; a decoy for a name nobody has. */
  find(mechanism: ScramMechanism, user: string): KnownUser {
    const key = keyOf(mechanism, user);
    const credential = this.#stored.get(key) ?? this.#configured.get(key);
    return credential === undefined ? { credential: this.#decoy(mechanism, user), exists: false } : { credential, exists: true };
  }

  /** PLAIN: users of the configuration only, as with Kafka. */
  passwordMatches(user: string, password: string): boolean {
    const known = this.#passwords.get(user);
    const given = this.#seal(password);
    return timingSafeEqual(given, known ?? this.#passwordKey) && known !== undefined;
  }

  /** Stored credentials, by user. */
  stored(): readonly StoredCredential[] {
    return [...this.#stored.values()];
  }
  has(mechanism: ScramMechanism, user: string): boolean {
    return this.#stored.has(keyOf(mechanism, user));
  }

  /** All changes or none, on disk when this returns. */
  change(changes: readonly CredentialChange[]): void {
    const next = new Map(this.#stored);
    for (const { user, mechanism, credential } of changes) {
      if (credential === undefined) next.delete(keyOf(mechanism, user));
      else next.set(keyOf(mechanism, user), { ...credential, user, mechanism });
    }
    this.#file.update({ credentials: [...next.values()] });
    this.#index();
  }

  #index(): void {
    this.#stored = new Map(this.#file.now.credentials.map((one) => [keyOf(one.mechanism, one.user), one]));
  }

  #decoy(mechanism: ScramMechanism, user: string): ScramCredential {
    const key = this.#passwordKey.subarray(0, 1);
    const bytes = Buffer.alloc(keyBytes(mechanism), key);
    return { salt: this.#salt(mechanism, user), iterations: this.#decoyIterations, storedKey: bytes, serverKey: bytes };
  }

  #salt(mechanism: ScramMechanism, user: string): Buffer {
    return createHmac('sha256', this.#file.now.secret).update(`${mechanism}\0${user}`).digest().subarray(0, SALT_BYTES);
  }

  #seal(password: string): Buffer {
    return createHmac('sha256', this.#passwordKey).update(password).digest();
  }
}

function keyOf(mechanism: ScramMechanism, user: string): string {
  return `${mechanism}/${user}`;
}
