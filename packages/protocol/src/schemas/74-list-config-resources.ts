// ListConfigResources: what has settings of its own. v0 client metrics only; v1 every type, or the types asked for. Source: KIP-714, KIP-1142.
import { array, defineApi, int8, int16, int32, string } from '../schema.ts';

export const listConfigResources = defineApi({
  key: 74,
  name: 'ListConfigResources',
  versions: [0, 1],
  flexible: 0,
  request: {
    resourceTypes: array(int8(), { since: 1 }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    configResources: array({
      resourceName: string(),
      resourceType: int8({ since: 1, default: 16 }),
    }),
  },
});
