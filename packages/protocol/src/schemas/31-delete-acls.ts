// DeleteAcls: takes the access rules away that match any of the filters. v2 flexible; v3 the resource type user.
import { array, defineApi, int8, int16, int32, string } from '../schema.ts';

export const deleteAcls = defineApi({
  key: 31,
  name: 'DeleteAcls',
  versions: [1, 3],
  flexible: 2,
  request: {
    filters: array({
      resourceTypeFilter: int8(),
      resourceNameFilter: string({ nullable: 0 }),
      patternTypeFilter: int8({ default: 3 }),
      principalFilter: string({ nullable: 0 }),
      hostFilter: string({ nullable: 0 }),
      operation: int8(),
      permissionType: int8(),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    filterResults: array({
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
      matchingAcls: array({
        errorCode: int16(),
        errorMessage: string({ nullable: 0 }),
        resourceType: int8(),
        resourceName: string(),
        patternType: int8({ default: 3 }),
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    }),
  },
});
