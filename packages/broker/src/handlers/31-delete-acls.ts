// DeleteAcls: takes rules away by filter. Serves versions 1-3. Rules of the configuration are not matched: they are taken away there.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { Authorizer } from '../security/access/authorizer.ts';
import { filterFault } from '../security/access/filter.ts';
import { OPERATIONS, PATTERN_TYPES, PERMISSIONS, RESOURCE_TYPES } from '../security/access/rule.ts';
import { NO_AUTHORIZER } from './29-describe-acls.ts';

type Request = RequestBody<typeof APIS.deleteAcls>;
type Response = ResponseInput<typeof APIS.deleteAcls>;

export function deleteAclsHandler(authorizer: Authorizer | undefined) {
  const handler: Handler<Request, Response> = ({ filters }) => {
    if (authorizer === undefined) return { filterResults: filters.map(() => ({ ...NO_AUTHORIZER, matchingAcls: [] })) };
    const faults = filters.map(filterFault);
    const gone = authorizer.remove(filters.filter((_, index) => faults[index] === undefined));
    let next = 0;
    return {
      filterResults: faults.map((fault) =>
        fault !== undefined
          ? { errorCode: ERROR_CODES.INVALID_REQUEST, errorMessage: fault, matchingAcls: [] }
          : {
              errorCode: ERROR_CODES.NONE,
              errorMessage: null,
              matchingAcls: (gone[next++] ?? []).map(({ resourceType, name, pattern, principal, host, operation, permission }) => ({
                errorCode: ERROR_CODES.NONE,
                errorMessage: null,
                resourceType: RESOURCE_TYPES[resourceType],
                resourceName: name,
                patternType: PATTERN_TYPES[pattern],
                principal,
                host,
                operation: OPERATIONS[operation],
                permissionType: PERMISSIONS[permission],
              })),
            },
      ),
    };
  };
  return handlerEntry(APIS.deleteAcls.key, handler);
}
