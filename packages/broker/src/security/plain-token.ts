// The one message of SASL PLAIN: authorization name, user, password, with a zero byte between.
// Owns: its form.  Never: checks a password.  Source: RFC 4616.

const TOKEN_BYTES_MAX = 8192;

/** Undefined: not such a message, or it asks to act as somebody else. */
export function readPlainToken(token: Buffer): { readonly user: string; readonly password: string } | undefined {
  if (token.length > TOKEN_BYTES_MAX) return undefined;
  const [authorizationName, user, password, ...rest] = token.toString('utf8').split('\0');
  if (user === undefined || password === undefined || rest.length > 0 || user === '' || password === '') return undefined;
  return authorizationName === '' || authorizationName === user ? { user, password } : undefined;
}
