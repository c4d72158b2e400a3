// AlterClientQuotas: sets and removes quotas of users, client ids and addresses; a null name is the default of its kind. v1 flexible.
import { array, bool, defineApi, float64, int16, int32, string } from '../schema.ts';

export const alterClientQuotas = defineApi({
  key: 49,
  name: 'AlterClientQuotas',
  versions: [0, 1],
  flexible: 1,
  request: {
    entries: array({
      entity: array({
        entityType: string(),
        entityName: string({ nullable: 0 }),
      }),
      ops: array({
        key: string(),
        value: float64(),
        remove: bool(),
      }),
    }),
    validateOnly: bool(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    entries: array({
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
      entity: array({
        entityType: string(),
        entityName: string({ nullable: 0 }),
      }),
    }),
  },
});
