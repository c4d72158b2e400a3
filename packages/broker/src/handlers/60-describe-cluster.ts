// DescribeCluster: one broker, which is its own controller. Serves versions 0-2. No broker is ever fenced.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type Handler, handlerEntry } from '../handler.ts';
import { everyOperation } from '../security/access/rule.ts';

type Request = RequestBody<typeof APIS.describeCluster>;
type Response = ResponseInput<typeof APIS.describeCluster>;

const ENDPOINT_BROKERS = 1;
const ENDPOINT_CONTROLLERS = 2;
const NOT_ASKED = -0x8000_0000;

export function describeClusterHandler(facts: BrokerFacts) {
  const handler: Handler<Request, Response> = (request) => {
    const { nodeId, host, port, clusterId } = facts;
    if (request.endpointType !== ENDPOINT_BROKERS)
      return {
        errorCode: request.endpointType === ENDPOINT_CONTROLLERS ? ERROR_CODES.MISMATCHED_ENDPOINT_TYPE : ERROR_CODES.UNSUPPORTED_ENDPOINT_TYPE,
        errorMessage: 'This is a broker, not a controller.',
        endpointType: ENDPOINT_BROKERS,
        clusterId,
        brokers: [],
      };
    const clusterAuthorizedOperations = request.includeClusterAuthorizedOperations ? everyOperation('cluster') : NOT_ASKED;
    return { errorCode: ERROR_CODES.NONE, clusterId, controllerId: nodeId, brokers: [{ brokerId: nodeId, host, port }], clusterAuthorizedOperations };
  };
  return handlerEntry(APIS.describeCluster.key, handler);
}
