// The broker's side of one SCRAM login: two messages in, two out.
// Owns: the state of that login.  Never: says why it refuses (an unknown user, a wrong password and a damaged message look alike).
// X1 an unknown user is asked for a proof like any other, with a salt that stays the same.  X2 proofs are compared in constant time.
// X3 the nonce, the channel binding and the user name are checked, not just the proof.  Source: RFC 5802 sections 5 to 7, KIP-84.
import { timingSafeEqual } from 'node:crypto';
import { digest, hmac, keyBytes, type ScramCredential, type ScramMechanism } from './credential.ts';

export type LoginStep =
  | { readonly kind: 'continue'; readonly token: Buffer }
  | { readonly kind: 'done'; readonly token: Buffer; readonly user: string }
  | { readonly kind: 'refused' };

/** What is known of a user; a decoy for a name nobody has. */
export interface KnownUser {
  readonly credential: ScramCredential;
  readonly exists: boolean;
}

const REFUSED: LoginStep = { kind: 'refused' };
const TOKEN_BYTES_MAX = 8192;
/** gs2-header, then client-first-message-bare. Extensions follow the nonce. */
const CLIENT_FIRST = /^((?:n|y),(?:a=([^,]*))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s;
const CLIENT_FINAL = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[^,]+)*),p=([A-Za-z0-9+/=]+)$/s;

export class ScramExchange {
  readonly #mechanism: ScramMechanism;
  readonly #find: (user: string) => KnownUser;
  readonly #serverNonce: string;
  #first: { readonly user: string; readonly known: KnownUser; readonly header: string; readonly nonce: string; readonly messages: string } | undefined;
  #over = false;

  /** `serverNonce`: printable, without a comma, unpredictable. */
  constructor(mechanism: ScramMechanism, find: (user: string) => KnownUser, serverNonce: string) {
    this.#mechanism = mechanism;
    this.#find = find;
    this.#serverNonce = serverNonce;
  }

  step(token: Buffer): LoginStep {
    if (this.#over || token.length > TOKEN_BYTES_MAX) return REFUSED;
    const outcome = this.#first === undefined ? this.#takeFirst(token.toString('utf8')) : this.#takeFinal(token.toString('utf8'));
    if (outcome.kind !== 'continue') this.#over = true;
    return outcome;
  }

  #takeFirst(text: string): LoginStep {
    const match = CLIENT_FIRST.exec(text);
    if (match === null) return REFUSED;
    const [, header, authorizationName, bare, encodedName, clientNonce] = match as unknown as [string, string, string | undefined, string, string, string];
    const user = decodeName(encodedName);
    if (user === undefined) return REFUSED;
    if (authorizationName !== undefined && authorizationName !== '' && decodeName(authorizationName) !== user) return REFUSED;
    if (bare.slice(`n=${encodedName},r=${clientNonce}`.length).includes(',tokenauth=true')) return REFUSED; // delegation tokens are not served
    const known = this.#find(user);
    const nonce = clientNonce + this.#serverNonce;
    const { salt, iterations } = known.credential;
    const answer = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
    this.#first = { user, known, header, nonce, messages: `${bare},${answer}` };
    return { kind: 'continue', token: Buffer.from(answer) };
  }

  #takeFinal(text: string): LoginStep {
    const first = this.#first;
    const match = CLIENT_FINAL.exec(text);
    if (first === undefined || match === null) return REFUSED;
    const [, withoutProof, binding, nonce, proofText] = match as unknown as [string, string, string, string, string];
    const proof = Buffer.from(proofText, 'base64');
    const mechanism = this.#mechanism;
    const { storedKey, serverKey } = first.known.credential;
    const message = `${first.messages},${withoutProof}`;
    const clientSignature = hmac(mechanism, storedKey, message);
    const wellFormed = proof.length === keyBytes(mechanism) && nonce === first.nonce && binding === Buffer.from(first.header).toString('base64');
    const clientKey = wellFormed ? clientSignature.map((byte, index) => byte ^ (proof[index] as number)) : clientSignature;
    const proven = timingSafeEqual(digest(mechanism, clientKey), storedKey);
    if (!wellFormed || !proven || !first.known.exists) return REFUSED;
    return { kind: 'done', token: Buffer.from(`v=${hmac(mechanism, serverKey, message).toString('base64')}`), user: first.user };
  }
}

/** `=2C` and `=3D` stand for a comma and an equals sign; any other `=` is an error. Undefined: not a name. */
function decodeName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
