// CreateAcls: adds access rules. Serves versions 1-3. Those that make sense are added, on disk before the answer; the others are refused one by one.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import { type Authorizer, RULES_MAX } from '../security/access/authorizer.ts';
import { readRule } from '../security/access/filter.ts';
import type { AccessRule } from '../security/access/rule.ts';
import { NO_AUTHORIZER } from './29-describe-acls.ts';

type Request = RequestBody<typeof APIS.createAcls>;
type Response = ResponseInput<typeof APIS.createAcls>;

export function createAclsHandler(authorizer: Authorizer | undefined) {
  const handler: Handler<Request, Response> = ({ creations }) => {
    if (authorizer === undefined) return { results: creations.map(() => NO_AUTHORIZER) };
    const read = creations.map(readRule);
    const rules = read.filter((one): one is AccessRule => typeof one !== 'string');
    const fits = authorizer.storedCount + rules.length <= RULES_MAX;
    if (fits && rules.length > 0) authorizer.add(rules);
    return {
      results: read.map((one) =>
        typeof one === 'string'
          ? { errorCode: ERROR_CODES.INVALID_REQUEST, errorMessage: one }
          : fits
            ? { errorCode: ERROR_CODES.NONE, errorMessage: null }
            : { errorCode: ERROR_CODES.POLICY_VIOLATION, errorMessage: `This broker keeps at most ${RULES_MAX} access rules.` },
      ),
    };
  };
  return handlerEntry(APIS.createAcls.key, handler);
}
