// DescribeAcls: the access rules that match a filter. Null names, principals and hosts match all. v2 flexible; v3 the resource type user.
import { array, defineApi, int8, int16, int32, string } from '../schema.ts';

export const describeAcls = defineApi({
  key: 29,
  name: 'DescribeAcls',
  versions: [1, 3],
  flexible: 2,
  request: {
    resourceTypeFilter: int8(),
    resourceNameFilter: string({ nullable: 0 }),
    patternTypeFilter: int8({ default: 3 }),
    principalFilter: string({ nullable: 0 }),
    hostFilter: string({ nullable: 0 }),
    operation: int8(),
    permissionType: int8(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      patternType: int8({ default: 3 }),
      acls: array({
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    }),
  },
});
