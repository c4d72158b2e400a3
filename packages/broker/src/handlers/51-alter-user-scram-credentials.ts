// AlterUserScramCredentials: gives and takes away SCRAM credentials, user by user: all changes of a user or none. Serves version 0.
// They are on disk before the answer; a login that is under way, or was made before, goes on.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import { credentialFromSalted, ITERATIONS_MAX, ITERATIONS_MIN, keyBytes, SCRAM_MECHANISMS } from '../security/scram/credential.ts';
import { CREDENTIALS_MAX, type CredentialChange, type Users } from '../security/users.ts';

type Request = RequestBody<typeof APIS.alterUserScramCredentials>;
type Response = ResponseInput<typeof APIS.alterUserScramCredentials>;
type Result = Response['results'][number];

const NAME_LENGTH_MAX = 1_000;
const SALT_BYTES_MAX = 1_024;

class Refusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export function alterUserScramCredentialsHandler(users: Users) {
  const handler: Handler<Request, Response> = (request) => {
    const changes: CredentialChange[] = [];
    const names = new Set([...request.deletions, ...request.upsertions].map(({ name }) => name));
    const results = [...names].map((user): Result => {
      try {
        changes.push(...changesFor(user, request, users));
        return { user, errorCode: ERROR_CODES.NONE, errorMessage: null };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return { user, errorCode: error.code, errorMessage: error.message };
      }
    });
    if (changes.length > 0) users.change(changes);
    return { results };
  };
  return handlerEntry(APIS.alterUserScramCredentials.key, handler);
}

/** Throws a Refusal. */
function changesFor(user: string, request: Request, users: Users): CredentialChange[] {
  if (user === '' || user.length > NAME_LENGTH_MAX) throw new Refusal(ERROR_CODES.UNACCEPTABLE_CREDENTIAL, 'Username must not be empty, nor longer than 1000.');
  const changes: CredentialChange[] = [];
  for (const { name, mechanism } of request.deletions) if (name === user) changes.push({ user, mechanism: mechanismOf(mechanism), credential: undefined });
  for (const asked of request.upsertions) {
    if (asked.name !== user) continue;
    const mechanism = mechanismOf(asked.mechanism);
    const { iterations, salt, saltedPassword } = asked;
    const unacceptable = (why: string): Refusal => new Refusal(ERROR_CODES.UNACCEPTABLE_CREDENTIAL, why);
    if (iterations < ITERATIONS_MIN) throw unacceptable(`Too few iterations: at least ${ITERATIONS_MIN}.`);
    if (iterations > ITERATIONS_MAX) throw unacceptable(`Too many iterations: at most ${ITERATIONS_MAX}.`);
    if (salt.length === 0 || salt.length > SALT_BYTES_MAX) throw unacceptable('The salt is empty or too long.');
    if (saltedPassword.length !== keyBytes(mechanism)) throw unacceptable(`A salted password of ${mechanism} has ${keyBytes(mechanism)} bytes.`);
    changes.push({ user, mechanism, credential: credentialFromSalted(mechanism, salt, saltedPassword, iterations) });
  }
  if (new Set(changes.map(({ mechanism }) => mechanism)).size < changes.length)
    throw new Refusal(ERROR_CODES.DUPLICATE_RESOURCE, 'A user credential cannot be altered twice in the same request');
  const missing = changes.find(({ mechanism, credential }) => credential === undefined && !users.has(mechanism, user));
  if (missing !== undefined) throw new Refusal(ERROR_CODES.RESOURCE_NOT_FOUND, `Attempt to delete a user credential that does not exist: ${missing.mechanism}`);
  if (users.stored().length + changes.length > CREDENTIALS_MAX)
    throw new Refusal(ERROR_CODES.POLICY_VIOLATION, `This broker keeps at most ${CREDENTIALS_MAX} credentials.`);
  return changes;
}

function mechanismOf(code: number) {
  const mechanism = SCRAM_MECHANISMS[code - 1];
  if (mechanism === undefined) throw new Refusal(ERROR_CODES.UNSUPPORTED_SASL_MECHANISM, `Unknown SCRAM mechanism ${code}`);
  return mechanism;
}
