// DescribeClientQuotas: quotas by user, client id and address. Match type 0: that name, 1: the default, 2: any. v1 flexible.
import { array, bool, defineApi, float64, int8, int16, int32, string } from '../schema.ts';

export const describeClientQuotas = defineApi({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: [0, 1],
  flexible: 1,
  request: {
    components: array({
      entityType: string(),
      matchType: int8(),
      match: string({ nullable: 0 }),
    }),
    strict: bool(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    entries: array(
      {
        entity: array({
          entityType: string(),
          entityName: string({ nullable: 0 }),
        }),
        values: array({
          key: string(),
          value: float64(),
        }),
      },
      { nullable: 0 },
    ),
  },
});
