// One connection's way to a name: SaslHandshake picks a mechanism, SaslAuthenticate carries its messages, then requests are served.
//
//   open (no login asked for)
//   wants-handshake → wants-token → done → wants-token (again, before the session's time is over) → done …
//   any of them → failed: the answer leaves, late, and the connection ends
//
// Owns: that state and the name.  Never: decodes frames, says why a login was refused (the log does, without secrets).
// L1 nothing but ApiVersions and the login itself is served before `done`.  L2 a refused login costs its peer time and the connection.
// L3 who logs in again must stay who it was.  Source: KIP-43, KIP-152, KIP-368.
import { assert, type Chance, type Clock, type Counter, type Logger, type Timers } from '@millrace/core';
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { readPlainToken } from './plain-token.ts';
import { SCRAM_MECHANISMS } from './scram/credential.ts';
import { type LoginStep, ScramExchange } from './scram/exchange.ts';
import type { Users } from './users.ts';

export const ANONYMOUS = 'User:ANONYMOUS';
export const MECHANISMS = ['PLAIN', ...SCRAM_MECHANISMS] as const;
export type Mechanism = (typeof MECHANISMS)[number];

export const LOGIN_MOVES = {
  open: [],
  'wants-handshake': ['wants-token', 'failed'],
  'wants-token': ['done', 'failed'],
  done: ['wants-token', 'failed'],
  failed: [],
} as const;
type LoginState = keyof typeof LOGIN_MOVES;

/** What every login of a listener shares. */
export interface LoginRules {
  readonly users: Users;
  readonly mechanisms: readonly Mechanism[];
  /** How long a login is good for; 0: as long as the connection. */
  readonly sessionMs: number;
  /** How long a refusal is held back. */
  readonly refusalDelayMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly chance: Chance;
  readonly log: Logger;
  readonly accepted: Counter;
  readonly refused: Counter;
}

export interface HandshakeAnswer {
  readonly errorCode: number;
  readonly mechanisms: readonly string[];
}
export interface AuthenticateAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly authBytes: Buffer;
  readonly sessionLifetimeMs: number;
}

type Exchange = (token: Buffer) => LoginStep;

const FREE_APIS: ReadonlySet<number> = new Set([APIS.apiVersions.key, APIS.saslHandshake.key, APIS.saslAuthenticate.key]);
const HANDSHAKE_VERSION_MIN = 1;
const NONCE_BYTES = 24;

export class Login {
  readonly #rules: LoginRules | undefined;
  readonly #host: string;
  #state: LoginState;
  #principal: string;
  #mechanism: Mechanism | undefined;
  #exchange: Exchange | undefined;
  #expiresAtMs = Number.POSITIVE_INFINITY;

  /** Without rules nobody need log in; `peerName` is the name in a verified client certificate. */
  constructor(rules: LoginRules | undefined, host: string, peerName: string | undefined) {
    this.#rules = rules;
    this.#host = host;
    this.#state = rules === undefined ? 'open' : 'wants-handshake';
    this.#principal = peerName === undefined ? ANONYMOUS : `User:${peerName}`;
  }

  /** `User:name`. */
  get principal(): string {
    return this.#principal;
  }
  /** True when requests are served: nobody need log in here, or somebody has. */
  get isDone(): boolean {
    return this.#state === 'open' || this.#state === 'done';
  }
  /** True when the connection is to end once what was answered has left. */
  get isFailed(): boolean {
    return this.#state === 'failed';
  }

  /** Whether a request of this API may be served now. */
  admits(apiKey: number): boolean {
    if (this.#state === 'open' || FREE_APIS.has(apiKey)) return this.#state !== 'failed';
    return this.#state === 'done' && (this.#rules?.clock.monotonicMs() ?? 0) < this.#expiresAtMs;
  }

  handshake(mechanism: string, version: number): HandshakeAnswer {
    const rules = this.#rules;
    if (rules === undefined) return { errorCode: ERROR_CODES.ILLEGAL_SASL_STATE, mechanisms: [] };
    const { mechanisms } = rules;
    const mayBegin = this.#state === 'wants-handshake' || (this.#state === 'done' && rules.sessionMs > 0);
    if (!mayBegin) return { errorCode: ERROR_CODES.ILLEGAL_SASL_STATE, mechanisms };
    // Version 0 is followed by tokens without a Kafka header, which only clients older than 1.0 send.
    if (version < HANDSHAKE_VERSION_MIN) return this.#refuseHandshake(ERROR_CODES.UNSUPPORTED_VERSION, mechanisms);
    const known = mechanisms.find((one) => one === mechanism);
    if (known === undefined || (this.#mechanism !== undefined && this.#mechanism !== known))
      return this.#refuseHandshake(ERROR_CODES.UNSUPPORTED_SASL_MECHANISM, mechanisms);
    this.#mechanism = known;
    this.#exchange = this.#begin(rules, known);
    this.#move('wants-token');
    return { errorCode: ERROR_CODES.NONE, mechanisms };
  }

  async authenticate(token: Buffer): Promise<AuthenticateAnswer> {
    const rules = this.#rules;
    const exchange = this.#exchange;
    if (rules === undefined || this.#state !== 'wants-token' || exchange === undefined)
      return refusal(ERROR_CODES.ILLEGAL_SASL_STATE, 'SaslAuthenticate must follow a successful SaslHandshake.');
    const step = exchange(token);
    switch (step.kind) {
      case 'continue':
        return { errorCode: ERROR_CODES.NONE, errorMessage: null, authBytes: step.token, sessionLifetimeMs: 0 };
      case 'done':
        return this.#accept(rules, step.user, step.token) ?? this.#refuse(rules);
      case 'refused':
        return this.#refuse(rules);
    }
  }

  /** Undefined when somebody else has logged in on the way of an older login. */
  #accept(rules: LoginRules, user: string, token: Buffer): AuthenticateAnswer | undefined {
    const principal = `User:${user}`;
    if (this.#expiresAtMs !== Number.POSITIVE_INFINITY && principal !== this.#principal) return undefined;
    this.#principal = principal;
    this.#exchange = undefined;
    if (rules.sessionMs > 0) this.#expiresAtMs = rules.clock.monotonicMs() + rules.sessionMs;
    this.#move('done');
    rules.accepted.add();
    return { errorCode: ERROR_CODES.NONE, errorMessage: null, authBytes: token, sessionLifetimeMs: rules.sessionMs };
  }

  #refuse(rules: LoginRules): Promise<AuthenticateAnswer> {
    this.#move('failed');
    this.#exchange = undefined;
    rules.refused.add();
    rules.log.warn({ host: this.#host, mechanism: this.#mechanism }, 'refused a login');
    const answer = refusal(ERROR_CODES.SASL_AUTHENTICATION_FAILED, `Authentication failed: invalid credentials with SASL mechanism ${this.#mechanism}`);
    return new Promise((resolve) => {
      rules.timers.after(rules.refusalDelayMs, () => resolve(answer));
    });
  }

  #refuseHandshake(errorCode: number, mechanisms: readonly string[]): HandshakeAnswer {
    this.#move('failed');
    return { errorCode, mechanisms };
  }

  #begin({ users, chance }: LoginRules, mechanism: Mechanism): Exchange {
    if (mechanism === 'PLAIN') return (token) => plainStep(users, token);
    const nonce = Buffer.from(chance.bytes(NONCE_BYTES)).toString('base64url');
    const exchange = new ScramExchange(mechanism, (user) => users.find(mechanism, user), nonce);
    return (token) => exchange.step(token);
  }

  #move(to: LoginState): void {
    assert((LOGIN_MOVES[this.#state] as readonly LoginState[]).includes(to), `a login cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }
}

function plainStep(users: Users, token: Buffer): LoginStep {
  const read = readPlainToken(token);
  return read !== undefined && users.passwordMatches(read.user, read.password)
    ? { kind: 'done', token: Buffer.alloc(0), user: read.user }
    : { kind: 'refused' };
}

function refusal(errorCode: number, errorMessage: string): AuthenticateAnswer {
  return { errorCode, errorMessage, authBytes: Buffer.alloc(0), sessionLifetimeMs: 0 };
}
