// SaslHandshake: picks the mechanism of a login (security/login.ts). Listed on listeners without a login too, because librdkafka looks for it.
// Serves versions 0-1; 0 is refused, since tokens without a Kafka header would follow it.
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';

type Request = RequestBody<typeof APIS.saslHandshake>;
type Response = ResponseInput<typeof APIS.saslHandshake>;

export function saslHandshakeHandler() {
  const handler: Handler<Request, Response> = ({ mechanism }, { version, connection }) => connection.login.handshake(mechanism, version);
  return handlerEntry(APIS.saslHandshake.key, handler);
}
