// The composition root of the embedded broker: opens the data directory, recovers, starts the coordinators, listens.
// Owns: the order of start and close.  Never: serves a request before everything below is ready, leaves the lock behind.
// Start: lock → format → epoch → logs (on the device, with fsync on) → internal topics → groups → transactions → socket.  Close: the same backwards, then the clean mark.
import { explainError, MetricRegistry, type MetricSnapshot, MillraceError, type Ports } from '@millrace/core';
import { openDataDir } from './data-dir.ts';
import { topicCatalog } from './group/consumer/catalog.ts';
import { GroupCoordinator } from './group/coordinator.ts';
import type { BrokerFacts, HandlerEntry } from './handler.ts';
import { produceHandler } from './handlers/00-produce.ts';
import { fetchHandler } from './handlers/01-fetch.ts';
import { listOffsetsHandler } from './handlers/02-list-offsets.ts';
import { metadataHandler } from './handlers/03-metadata.ts';
import { apiVersionsHandler } from './handlers/18-api-versions.ts';
import { createTopicsHandler } from './handlers/19-create-topics.ts';
import { deleteTopicsHandler } from './handlers/20-delete-topics.ts';
import { deleteRecordsHandler } from './handlers/21-delete-records.ts';
import { offsetForLeaderEpochHandler } from './handlers/23-offset-for-leader-epoch.ts';
import { describeConfigsHandler } from './handlers/32-describe-configs.ts';
import { alterConfigsHandler } from './handlers/33-alter-configs.ts';
import { createPartitionsHandler } from './handlers/37-create-partitions.ts';
import { incrementalAlterConfigsHandler } from './handlers/44-incremental-alter-configs.ts';
import { describeClusterHandler } from './handlers/60-describe-cluster.ts';
import { clusterHandlers } from './handlers/cluster-handlers.ts';
import { coordinatorHandlers } from './handlers/coordinator-handlers.ts';
import { OpenFiles } from './log/open-files.ts';
import { SyncGroup } from './log/sync-group.ts';
import { type BrokerOptions, brokerConfig, type FilledOptions, fillOptions } from './options.ts';
import { listenerTls } from './security/options.ts';
import { quotaMeter } from './security/quota/meter.ts';
import { openSecurity } from './security/security.ts';
import { advertisedApis, Router } from './server/router.ts';
import { Server } from './server/server.ts';
import { SpareBuffers } from './spare-buffers.ts';
import { LocalInternalLog } from './topics/local-internal-log.ts';
import { Topics } from './topics/topics.ts';
import { TransactionCoordinator } from './transaction/coordinator.ts';
import { Upkeep } from './upkeep.ts';

export interface Broker {
  /** What clients connect to. */
  readonly host: string;
  readonly port: number;
  /** `host:port`; an IPv6 host stands in brackets. */
  readonly address: string;
  readonly clusterId: string;
  /** True when the last broker on this data directory did not close cleanly, so that the log was recovered. */
  readonly recovered: boolean;
  /** What has been counted so far: connections, logins, refusals, memory of requests. */
  metrics(): MetricSnapshot;
  /** Reads the files of `security.tls` again; new connections get the new certificates. Throws ERR_OPTION, and nothing has changed then. */
  renewCertificates(): void;
  /** Stops taking requests, writes what a quick start needs, gives the data directory free. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a broker on a data directory.
 * Rejects with ERR_DATA_DIR (in use, damaged, unknown format), ERR_PORT_IN_USE, ERR_OPTION.
 *
 * @example
 * ```ts
 * const broker = await startBroker({ dataDir: './broker-data' }, ports);
 * console.log(broker.address);
 * await broker.close();
 * ```
 */
export async function startBroker(options: BrokerOptions, ports: Ports): Promise<Broker> {
  const filled = fillOptions(options);
  const { limits } = filled;
  const dir = openDataDir(ports.disk, filled.dataDir, ports.chance);
  const files = new OpenFiles(ports.disk);
  try {
    const metrics = new MetricRegistry();
    const security = await openSecurity(filled.security, filled.dataDir, ports, metrics);
    const readTls = (): object | undefined => (filled.security.tls === undefined ? undefined : listenerTls(filled.security.tls, ports.disk, limits.loginMs));
    const tls = readTls();
    const spare = new SpareBuffers();
    const startedMs = ports.clock.monotonicMs();
    const syncs = new SyncGroup(files, filled.fsync);
    const host = { files, syncs, clock: ports.clock, log: ports.log, chance: ports.chance };
    const topics = new Topics(host, filled.dataDir, dir.leaderEpoch);
    const report = topics.openAll(dir.clean);
    const synced = syncs.durable();
    if (synced !== undefined) await synced; // readers see what was found, and the coordinators build on it
    const tookMs = Math.round(ports.clock.monotonicMs() - startedMs);
    ports.log[dir.clean ? 'info' : 'warn'](
      { ...report, clean: dir.clean, leaderEpoch: dir.leaderEpoch, tookMs },
      dir.clean ? 'logs opened' : 'logs recovered after an unclean stop',
    );

    metrics.gauge('topics', () => [...topics.all()].length);
    metrics.gauge('partitions', () => [...topics.all()].reduce((sum, { logs }) => sum + logs.length, 0));
    metrics.gauge('log_bytes', () => [...topics.all()].reduce((sum, { logs }) => logs.reduce((bytes, log) => bytes + log.sizeBytes, sum), 0));

    const internalLog = new LocalInternalLog(topics, syncs, ports.clock);
    const groups = new GroupCoordinator(ports, internalLog, filled.groups, topicCatalog(topics));
    const transactions = new TransactionCoordinator(ports, internalLog, groups, filled.transactions);
    topics.onDeleted((topic) => groups.topicDeleted(topic));
    groups.start();
    transactions.start();
    metrics.gauge('groups', () => groups.count);
    metrics.gauge('groups_rebalancing', () => groups.occupancy().rebalancing);
    metrics.gauge('group_members', () => groups.occupancy().members);
    metrics.gauge('group_members_promised', () => groups.occupancy().promised);
    metrics.gauge('transactions_open', () => transactions.openCount);

    const facts: { -readonly [K in keyof BrokerFacts]: BrokerFacts[K] } = {
      nodeId: dir.nodeId,
      clusterId: dir.clusterId,
      host: filled.advertisedHost,
      port: 0,
    };
    const entries: HandlerEntry[] = [
      ...security.handlers,
      ...logHandlers(filled, ports, { topics, syncs, facts, transactions, spare }),
      ...coordinatorHandlers({ groups, transactions, internalLog, broker: facts, clock: ports.clock, chance: ports.chance }),
      ...clusterHandlers({ topics, facts, internalLog, offsets: groups, dataDir: filled.dataDir, clock: ports.clock }),
      apiVersionsHandler(() => advertised),
    ];
    const advertised = advertisedApis(entries.map(({ apiKey }) => apiKey));
    const served = security.guard(entries, {
      nameOf: (topicId) => topics.byId(topicId)?.name,
      exists: (topic) => topics.get(topic) !== undefined,
      names: () => [...topics.all()].map(({ name }) => name),
      autoCreate: filled.autoCreateTopics,
    });
    const server = new Server(
      {
        host: filled.host,
        port: filled.port,
        frameBytesMax: limits.requestBytesMax,
        tls,
        login: security.login,
        spare,
        connectionDelayMs: (address) => security.quotas.connectionDelayMs(address),
        ...limits,
      },
      ports,
      new Router(served, quotaMeter(security.quotas, ports.clock)),
      metrics,
    );
    const upkeep = new Upkeep(host, topics, ports, limits);
    const closeParts = async (): Promise<void> => {
      await upkeep.stop();
      groups.stop();
      await transactions.stop();
      await server.close();
      await syncs.durable();
      topics.close();
      files.closeAll();
    };
    try {
      facts.port = await server.listen();
    } catch (error) {
      await closeParts();
      dir.markClean();
      throw error;
    }
    upkeep.start();

    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      try {
        await closeParts();
        dir.markClean();
      } catch (error) {
        // The device refused: what was acknowledged is there or is found missing by the recovery of the next start. No clean mark.
        ports.log.error({ dataDir: filled.dataDir, error: explainError(error) }, 'the broker could not close cleanly; the next start recovers');
        files.closeAll();
      } finally {
        dir.release();
      }
    };
    return {
      host: facts.host,
      port: facts.port,
      address: `${facts.host.includes(':') ? `[${facts.host}]` : facts.host}:${facts.port}`,
      clusterId: facts.clusterId,
      recovered: !dir.clean,
      metrics: () => metrics.snapshot(),
      renewCertificates: () => {
        const renewed = readTls();
        if (renewed !== undefined) server.renewTls(renewed);
      },
      close: () => (closing ??= close()),
    };
  } catch (error) {
    files.closeAll();
    dir.release();
    throw error instanceof Error ? error : new MillraceError('ERR_DATA_DIR', String(error));
  }
}

interface LogParts {
  readonly topics: Topics;
  readonly syncs: SyncGroup;
  readonly facts: BrokerFacts;
  readonly transactions: TransactionCoordinator;
  readonly spare: SpareBuffers;
}

function logHandlers(options: FilledOptions, { clock, timers }: Ports, { topics, syncs, facts, transactions, spare }: LogParts): HandlerEntry[] {
  const { partitions, autoCreateTopics } = options;
  return [
    produceHandler({ topics, syncs, clock, gate: transactions }),
    fetchHandler({ topics, timers, fetchBytesMax: options.limits.fetchBytesMax, spare }),
    listOffsetsHandler(topics),
    metadataHandler({ topics, facts, autoCreateTopics, partitions }),
    createTopicsHandler({ topics, facts, partitions }),
    deleteTopicsHandler(topics),
    deleteRecordsHandler(topics, syncs),
    offsetForLeaderEpochHandler(topics),
    describeConfigsHandler({ topics, facts, brokerConfig: brokerConfig(options) }),
    alterConfigsHandler(topics),
    createPartitionsHandler(topics, facts),
    incrementalAlterConfigsHandler(topics),
    describeClusterHandler(facts),
  ];
}
