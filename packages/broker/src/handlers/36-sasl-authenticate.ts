// SaslAuthenticate: never in order here, since no handshake succeeds.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';

type Request = RequestBody<typeof APIS.saslAuthenticate>;
type Response = ResponseInput<typeof APIS.saslAuthenticate>;

export function saslAuthenticateHandler() {
  const handler: Handler<Request, Response> = () => ({
    errorCode: ERROR_CODES.ILLEGAL_SASL_STATE,
    errorMessage: 'SaslAuthenticate without a successful SaslHandshake: this listener offers no SASL mechanism',
    authBytes: Buffer.alloc(0),
  });
  return handlerEntry(APIS.saslAuthenticate.key, handler);
}
