// ApiVersions: the table of what this broker offers, and the features that are in force.
// Serves versions 0-4 (a newer one is answered by the router in the form of version 0). Client name and version are checked as Kafka does.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { AdvertisedApi } from '../server/router.ts';

type Request = RequestBody<typeof APIS.apiVersions>;
type Response = ResponseInput<typeof APIS.apiVersions>;

const SOFTWARE_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/;
const NAMES_FROM = 3;
/** Older versions would take a feature that may be off (minimum 0) for a defect (KAFKA-17011). */
const OPTIONAL_FEATURES_FROM = 4;
/** Never changes while a broker runs; clients only compare it. */
const FEATURES_EPOCH = 1;

/** In force from the first start on, at the level given: there is no cluster that would have to agree. */
export const FEATURES: readonly { readonly name: string; readonly level: number }[] = [
  { name: 'group.version', level: 1 }, // KIP-848: ConsumerGroupHeartbeat, ConsumerGroupDescribe
  { name: 'transaction.version', level: 2 }, // KIP-890: Produce 12, EndTxn 5, TxnOffsetCommit 5
];

/** `advertised` is read at each call: the table is complete only once every handler is known. */
export function apiVersionsHandler(advertised: () => readonly AdvertisedApi[]) {
  const handler: Handler<Request, Response> = (request, { version }) => {
    if (version >= NAMES_FROM && !(SOFTWARE_NAME.test(request.clientSoftwareName) && SOFTWARE_NAME.test(request.clientSoftwareVersion)))
      return { errorCode: ERROR_CODES.INVALID_REQUEST, apiKeys: [] };
    return {
      errorCode: ERROR_CODES.NONE,
      apiKeys: advertised(),
      supportedFeatures: version < OPTIONAL_FEATURES_FROM ? [] : FEATURES.map(({ name, level }) => ({ name, minVersion: 0, maxVersion: level })),
      finalizedFeaturesEpoch: FEATURES_EPOCH,
      finalizedFeatures: FEATURES.map(({ name, level }) => ({ name, maxVersionLevel: level, minVersionLevel: level })),
    };
  };
  return handlerEntry(APIS.apiVersions.key, handler);
}
