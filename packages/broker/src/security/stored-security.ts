// What administrators have set over the wire and what must outlive a restart: SCRAM credentials, access rules, quotas, and one secret.
// File: `<dataDir>/security.json`, replaced whole, so that a crash leaves it as it was or as it was to be. It holds no passwords.
// Owns: that file and its format.  Never: decides anything.
// F1 a change is on disk before it is seen.
import { type Chance, type Disk, explainError, MillraceError } from '@millrace/core';
import { type AccessRule, isAccessRule } from './access/rule.ts';
import { isStoredQuota, type StoredQuota } from './quota/entity.ts';
import { SCRAM_MECHANISMS, type ScramCredential, type ScramMechanism } from './scram/credential.ts';

const VERSION = 1;
const FILE = 'security.json';
const SECRET_BYTES = 32;

export interface StoredCredential extends ScramCredential {
  readonly user: string;
  readonly mechanism: ScramMechanism;
}

export interface StoredSecurity {
  /** Makes salts that nobody can foresee and that stay the same over restarts. */
  readonly secret: Buffer;
  readonly credentials: readonly StoredCredential[];
  readonly rules: readonly AccessRule[];
  readonly quotas: readonly StoredQuota[];
}

export class StoredSecurityFile {
  readonly #disk: Disk;
  readonly #path: string;
  #now: StoredSecurity;

  /** Throws ERR_DATA_DIR for a file that cannot be read. */
  constructor(disk: Disk, dataDir: string, chance: Chance) {
    this.#disk = disk;
    this.#path = disk.join(dataDir, FILE);
    if (disk.exists(this.#path)) this.#now = parse(this.#path, disk.readWhole(this.#path));
    else this.#now = { secret: Buffer.from(chance.bytes(SECRET_BYTES)), credentials: [], rules: [], quotas: [] };
  }

  /** Writes the secret down, so that it is the same after a restart. */
  keepSecret(): void {
    if (!this.#disk.exists(this.#path)) this.update({});
  }

  get now(): StoredSecurity {
    return this.#now;
  }

  /** Throws the disk's error when it cannot be written; nothing has changed then. */
  update(change: Partial<StoredSecurity>): void {
    const next = { ...this.#now, ...change };
    const credentials = next.credentials.map((one) => ({
      user: one.user,
      mechanism: one.mechanism,
      iterations: one.iterations,
      salt: one.salt.toString('base64'),
      storedKey: one.storedKey.toString('base64'),
      serverKey: one.serverKey.toString('base64'),
    }));
    const text = JSON.stringify({ version: VERSION, secret: next.secret.toString('base64'), credentials, rules: next.rules, quotas: next.quotas }, null, 1);
    this.#disk.replaceWhole(this.#path, Buffer.from(`${text}\n`));
    this.#now = next;
  }
}

function parse(path: string, bytes: Uint8Array): StoredSecurity {
  const damaged = (why: string, cause?: unknown): MillraceError =>
    new MillraceError(
      'ERR_DATA_DIR',
      `The broker's data directory is damaged: ${path} ${why}. Restore the file from a backup, or remove it to start without the users, access rules and quotas in it.`,
      { file: path },
      cause,
    );
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw damaged(`cannot be read (${explainError(cause)})`, cause);
  }
  const { version, secret, credentials, rules, quotas } = parsed ?? {};
  if (version !== VERSION || typeof secret !== 'string' || !Array.isArray(credentials) || !Array.isArray(rules) || !Array.isArray(quotas))
    throw damaged(`is no security file of version ${VERSION}`);
  if (!rules.every(isAccessRule) || !quotas.every(isStoredQuota)) throw damaged('holds a rule or a quota that is none');
  return {
    secret: Buffer.from(secret, 'base64'),
    credentials: credentials.map((one: unknown) => {
      const credential = parseCredential(one);
      if (credential === undefined) throw damaged('holds a credential that is none');
      return credential;
    }),
    rules,
    quotas,
  };
}

function parseCredential(value: unknown): StoredCredential | undefined {
  const { user, mechanism, iterations, salt, storedKey, serverKey } = (value ?? {}) as Record<string, unknown>;
  const known = SCRAM_MECHANISMS.find((one) => one === mechanism);
  if (known === undefined || typeof user !== 'string' || !Number.isInteger(iterations)) return undefined;
  if (typeof salt !== 'string' || typeof storedKey !== 'string' || typeof serverKey !== 'string') return undefined;
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
  return { user, mechanism: known, iterations: iterations as number, salt: bytes(salt), storedKey: bytes(storedKey), serverKey: bytes(serverKey) };
}
