// ApiVersions: the table of what this broker offers. No feature is finalized, so no client uses transactions v2.
// Serves versions 0-4 (a newer one is answered by the router in the form of version 0). Client name and version are checked as Kafka does.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { AdvertisedApi } from '../server/router.ts';

type Request = RequestBody<typeof APIS.apiVersions>;
type Response = ResponseInput<typeof APIS.apiVersions>;

const SOFTWARE_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/;
const NAMES_FROM = 3;

/** `advertised` is read at each call: the table is complete only once every handler is known. */
export function apiVersionsHandler(advertised: () => readonly AdvertisedApi[]) {
  const handler: Handler<Request, Response> = (request, { version }) => {
    if (version >= NAMES_FROM && !(SOFTWARE_NAME.test(request.clientSoftwareName) && SOFTWARE_NAME.test(request.clientSoftwareVersion)))
      return { errorCode: ERROR_CODES.INVALID_REQUEST, apiKeys: [] };
    return { errorCode: ERROR_CODES.NONE, apiKeys: advertised() };
  };
  return handlerEntry(APIS.apiVersions.key, handler);
}
