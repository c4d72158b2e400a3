// DescribeUserScramCredentials: who can log in by which SCRAM mechanism, with how many iterations. Serves version 0.
// Users of the configuration are not listed: they are not administered here.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import { SCRAM_MECHANISMS } from '../security/scram/credential.ts';
import type { StoredCredential } from '../security/stored-security.ts';
import type { Users } from '../security/users.ts';

type Request = RequestBody<typeof APIS.describeUserScramCredentials>;
type Response = ResponseInput<typeof APIS.describeUserScramCredentials>;
type Result = Response['results'][number];

export function describeUserScramCredentialsHandler(users: Users) {
  const handler: Handler<Request, Response> = (request) => {
    const byUser = new Map<string, StoredCredential[]>();
    for (const credential of users.stored()) byUser.set(credential.user, [...(byUser.get(credential.user) ?? []), credential]);
    const asked = request.users === null || request.users.length === 0 ? [...byUser.keys()] : request.users.map(({ name }) => name);
    const results = [...new Set(asked)].map((user) => describe(user, byUser.get(user), asked.indexOf(user) !== asked.lastIndexOf(user)));
    return { errorCode: ERROR_CODES.NONE, errorMessage: null, results };
  };
  return handlerEntry(APIS.describeUserScramCredentials.key, handler);
}

function describe(user: string, found: readonly StoredCredential[] | undefined, askedTwice: boolean): Result {
  const refused = (errorCode: number, errorMessage: string): Result => ({ user, errorCode, errorMessage, credentialInfos: [] });
  if (askedTwice) return refused(ERROR_CODES.DUPLICATE_RESOURCE, `User ${user} is asked for twice.`);
  if (found === undefined) return refused(ERROR_CODES.RESOURCE_NOT_FOUND, `There are no SCRAM credentials of user ${user}.`);
  const credentialInfos = found.map(({ mechanism, iterations }) => ({ mechanism: SCRAM_MECHANISMS.indexOf(mechanism) + 1, iterations }));
  return { user, errorCode: ERROR_CODES.NONE, errorMessage: null, credentialInfos };
}
