// SaslAuthenticate: one message of a login (security/login.ts). Serves versions 0-2.
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';

type Request = RequestBody<typeof APIS.saslAuthenticate>;
type Response = ResponseInput<typeof APIS.saslAuthenticate>;

export function saslAuthenticateHandler() {
  const handler: Handler<Request, Response> = ({ authBytes }, { connection }) => connection.login.authenticate(authBytes);
  return handlerEntry(APIS.saslAuthenticate.key, handler);
}
