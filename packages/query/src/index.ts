// The public names of @millrace/query.
export type { Answer, AnswerMeta, Health, KeyRange, Location, PeerAddress, Pending, QueryHost, Refusal, Row, StoreSummary, WindowRange } from './host.ts';
export { parseInstant } from './parameters.ts';
export { createQueryServer, type QueryServer, type QueryServerOptions, type QueryServerPorts } from './server.ts';
