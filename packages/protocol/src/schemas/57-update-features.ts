// UpdateFeatures: raises or lowers the levels of features. v1 kind of upgrade, dry run; v2 answers for the whole only. Source: KIP-584.
import { array, bool, defineApi, int8, int16, int32, string } from '../schema.ts';

export const updateFeatures = defineApi({
  key: 57,
  name: 'UpdateFeatures',
  versions: [0, 2],
  flexible: 0,
  request: {
    timeoutMs: int32({ default: 60_000 }),
    featureUpdates: array({
      feature: string(),
      maxVersionLevel: int16(),
      allowDowngrade: bool({ until: 0 }),
      upgradeType: int8({ since: 1, default: 1 }),
    }),
    validateOnly: bool({ since: 1, default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: 0, default: null }),
    results: array(
      {
        feature: string(),
        errorCode: int16(),
        errorMessage: string({ nullable: 0, default: null }),
      },
      { until: 1 },
    ),
  },
});
