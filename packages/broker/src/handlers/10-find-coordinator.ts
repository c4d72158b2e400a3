// FindCoordinator 0-6: who runs this group or transactional id. Always this broker.
// Observable: key types other than group (0) and transaction (1) get [42].
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.findCoordinator;

const MANY_KEYS = 4;
const TRANSACTION = 1;

export function findCoordinatorHandler(broker: BrokerFacts): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.findCoordinator.key, (request, { version }) => {
    const known = request.keyType >= 0 && request.keyType <= TRANSACTION;
    const answer = known
      ? { errorCode: ERROR_CODES.NONE, errorMessage: version < MANY_KEYS ? null : '', nodeId: broker.nodeId, host: broker.host, port: broker.port }
      : { errorCode: ERROR_CODES.INVALID_REQUEST, errorMessage: `key type ${request.keyType} is not served`, nodeId: -1, host: '', port: -1 };
    if (version < MANY_KEYS) return answer;
    return { errorCode: 0, nodeId: -1, host: '', port: -1, coordinators: request.coordinatorKeys.map((key) => ({ key, ...answer })) };
  });
}
