// SaslHandshake: picks the mechanism. Never flexible. After v0 bare length-prefixed tokens follow, after v1 SaslAuthenticate requests.
import { array, defineApi, int16, string } from '../schema.ts';

export const saslHandshake = defineApi({
  key: 17,
  name: 'SaslHandshake',
  versions: [0, 1],
  flexible: undefined,
  client: [1, 1],
  request: {
    mechanism: string(),
  },
  response: {
    errorCode: int16(),
    mechanisms: array(string()),
  },
});
