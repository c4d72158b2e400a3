// DescribeUserScramCredentials: which mechanisms a user can log in with; never the credentials. Null: all users. Mechanism 1: SHA-256, 2: SHA-512.
import { array, defineApi, int8, int16, int32, string } from '../schema.ts';

export const describeUserScramCredentials = defineApi({
  key: 50,
  name: 'DescribeUserScramCredentials',
  versions: [0, 0],
  flexible: 0,
  request: {
    users: array({ name: string() }, { nullable: 0 }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    results: array({
      user: string(),
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
      credentialInfos: array({
        mechanism: int8(),
        iterations: int32(),
      }),
    }),
  },
});
