// DescribeAcls: the access rules that match a filter, by resource. Serves versions 1-3. Rules of the configuration are among them.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { Authorizer } from '../security/access/authorizer.ts';
import { filterFault } from '../security/access/filter.ts';
import { OPERATIONS, PATTERN_TYPES, PERMISSIONS, RESOURCE_TYPES } from '../security/access/rule.ts';

type Request = RequestBody<typeof APIS.describeAcls>;
type Response = ResponseInput<typeof APIS.describeAcls>;
type Resource = { resourceType: number; resourceName: string; patternType: number; acls: Response['resources'][number]['acls'][number][] };

/** As Kafka answers where no authorizer is set. */
export const NO_AUTHORIZER = { errorCode: ERROR_CODES.SECURITY_DISABLED, errorMessage: 'No Authorizer is configured on the broker' } as const;

export function describeAclsHandler(authorizer: Authorizer | undefined) {
  const handler: Handler<Request, Response> = (request) => {
    if (authorizer === undefined) return { ...NO_AUTHORIZER, resources: [] };
    const fault = filterFault(request);
    if (fault !== undefined) return { errorCode: ERROR_CODES.INVALID_REQUEST, errorMessage: fault, resources: [] };
    const resources = new Map<string, Resource>();
    for (const { resourceType, pattern, name, principal, host, operation, permission } of authorizer.find(request)) {
      const key = `${resourceType} ${pattern} ${name}`;
      const resource = resources.get(key) ?? {
        resourceType: RESOURCE_TYPES[resourceType],
        resourceName: name,
        patternType: PATTERN_TYPES[pattern],
        acls: [],
      };
      resource.acls.push({ principal, host, operation: OPERATIONS[operation], permissionType: PERMISSIONS[permission] });
      resources.set(key, resource);
    }
    return { errorCode: ERROR_CODES.NONE, errorMessage: null, resources: [...resources.values()] };
  };
  return handlerEntry(APIS.describeAcls.key, handler);
}
