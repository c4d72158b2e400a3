// CreateAcls: adds access rules. v2 flexible; v3 the resource type user.
import { array, defineApi, int8, int16, int32, string } from '../schema.ts';

export const createAcls = defineApi({
  key: 30,
  name: 'CreateAcls',
  versions: [1, 3],
  flexible: 2,
  request: {
    creations: array({
      resourceType: int8(),
      resourceName: string(),
      resourcePatternType: int8({ default: 3 }),
      principal: string(),
      host: string(),
      operation: int8(),
      permissionType: int8(),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: array({
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
    }),
  },
});
