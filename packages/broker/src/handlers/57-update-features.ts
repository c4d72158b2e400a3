// UpdateFeatures 0-2: features are at the level this broker was written for, and stay there.
// Observable: the level in force is accepted, any other gets [95].
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import { FEATURES } from './18-api-versions.ts';

type Api = typeof APIS.updateFeatures;

export function updateFeaturesHandler(): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.updateFeatures.key, ({ featureUpdates }) => {
    const results = featureUpdates.map(({ feature, maxVersionLevel }) => {
      const level = FEATURES.find(({ name }) => name === feature)?.level;
      if (level === maxVersionLevel) return { feature, errorCode: ERROR_CODES.NONE, errorMessage: null };
      const errorMessage = level === undefined ? `There is no feature ${feature} here.` : `The level of ${feature} is ${level} here and cannot be changed.`;
      return { feature, errorCode: ERROR_CODES.INVALID_UPDATE_VERSION, errorMessage };
    });
    const failed = results.find(({ errorCode }) => errorCode !== ERROR_CODES.NONE);
    if (failed !== undefined) return { errorCode: failed.errorCode, errorMessage: failed.errorMessage, results: [] }; // as Kafka 4: all or nothing
    return { errorCode: ERROR_CODES.NONE, errorMessage: null, results };
  });
}
