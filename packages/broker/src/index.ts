// The public names of @millrace/broker.
export { type Broker, startBroker } from './broker.ts';
export { readBrokerConfig } from './config/read-config.ts';
export type { GroupOptions } from './group/options.ts';
export type { FsyncPolicy } from './log/sync-group.ts';
export type { BrokerLimits, BrokerOptions } from './options.ts';
export type { AccessRuleOption, AuthorizationOptions, ListenerSasl, ListenerTls, SecurityOptions } from './security/options.ts';
export type { TransactionOptions } from './transaction/options.ts';
