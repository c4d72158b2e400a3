// SaslHandshake: listed because librdkafka looks for it; this listener has no SASL, so no mechanism is offered.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';

type Request = RequestBody<typeof APIS.saslHandshake>;
type Response = ResponseInput<typeof APIS.saslHandshake>;

export function saslHandshakeHandler() {
  const handler: Handler<Request, Response> = () => ({ errorCode: ERROR_CODES.UNSUPPORTED_SASL_MECHANISM, mechanisms: [] });
  return handlerEntry(APIS.saslHandshake.key, handler);
}
