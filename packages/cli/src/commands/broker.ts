// millrace broker: the embedded broker alone, in the foreground, until SIGTERM or SIGINT.
// The one line on stdout comes when clients can connect, so a script may wait for it.
// B1 flags come before the file, the file before defaults.
import { type BrokerOptions, readBrokerConfig, startBroker } from '@millrace/broker';
import { explainError, type Listener, MillraceError } from '@millrace/core';
import { type CliDeps, type Command, DONE, FAILED, readInteger, readOptions, UsageError } from '../command.ts';
import { serveMetrics } from '../metrics-page.ts';

const PORT_DEFAULT = 9092;
const PORT_MAX = 65_535;
const PARTITIONS_MAX = 10_000;

export const brokerCommand: Command = {
  name: 'broker',
  summary: 'run the embedded broker alone',
  help: `Example: millrace broker --port 9092 --data-dir ./broker-data

  --data-dir DIR       where the log is kept; created if missing (required, here or in the file)
  --port PORT          port to listen on, 0 for any free one (default ${PORT_DEFAULT})
  --host ADDRESS       address to listen on (default 127.0.0.1; one that others can reach needs security settings in a file)
  --partitions N       partitions of topics created without a number (default 1)
  --config FILE        settings: JSON, or name=value lines; TLS, logins and access rules are set there
  --metrics-port PORT  serve GET /metrics for Prometheus on 127.0.0.1, 0 for any free port (default: off)

SIGTERM and SIGINT stop it cleanly, a second one at once; SIGHUP reads the TLS files again.`,
  async run(args, deps) {
    const flags = readOptions(args, ['port', 'data-dir', 'host', 'partitions', 'config', 'metrics-port']);
    const fromFile = flags.config === undefined ? {} : readConfigFile(flags.config, deps);
    const options = withFlags(fromFile, flags);
    const metricsPort = flags['metrics-port'] === undefined ? undefined : readInteger('metrics-port', flags['metrics-port'], 0, PORT_MAX);
    const stopped = waitForStop(deps);
    const broker = await startBroker(options, deps.ports);
    let metrics: Listener | undefined;
    try {
      if (metricsPort !== undefined) metrics = await serveMetrics(metricsPort, deps.ports, () => broker.metrics());
    } catch (error) {
      await broker.close();
      throw error;
    }
    const forgetReload = deps.onReload?.(() => reload(broker, deps));
    const page = metrics === undefined ? '' : `, metrics on http://127.0.0.1:${metrics.port}/metrics`;
    deps.printLine(`broker ready on ${broker.address}, data in ${options.dataDir}${page}`);
    await stopped;
    forgetReload?.();
    await metrics?.close();
    await broker.close();
    return DONE;
  },
};

type Flags = Partial<Record<'port' | 'data-dir' | 'host' | 'partitions', string>>;

function withFlags(file: Partial<BrokerOptions>, flags: Flags): BrokerOptions {
  const dataDir = flags['data-dir'] ?? file.dataDir;
  if (dataDir === undefined) throw new UsageError('Say where to keep the log: --data-dir DIR.');
  return {
    ...file,
    dataDir,
    port: flags.port === undefined ? (file.port ?? PORT_DEFAULT) : readInteger('port', flags.port, 0, PORT_MAX),
    ...(flags.host === undefined ? {} : { host: flags.host }),
    ...(flags.partitions === undefined ? {} : { partitions: readInteger('partitions', flags.partitions, 1, PARTITIONS_MAX) }),
  };
}

function readConfigFile(file: string, { ports }: CliDeps): Partial<BrokerOptions> {
  let bytes: Uint8Array;
  try {
    bytes = ports.disk.readWhole(file);
  } catch (cause) {
    throw new MillraceError('ERR_OPTION', `The configuration ${file} cannot be read: ${explainError(cause)}. Name a file this user may read with --config.`, {
      file,
    });
  }
  return readBrokerConfig(Buffer.from(bytes).toString('utf8'), file);
}

/** New certificates for new connections; when they are no good the old ones stay. */
function reload(broker: { renewCertificates(): void }, { ports }: CliDeps): void {
  try {
    broker.renewCertificates();
    ports.log.info({}, 'read the TLS files again');
  } catch (error) {
    ports.log.error({ error: explainError(error) }, 'the TLS files were not taken; the certificates from before stay');
  }
}

/** Resolves with the first signal; the second one ends the process. Signals before the broker is up count too. */
function waitForStop(deps: CliDeps): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    deps.onStop(() => {
      if (++signals > 1) deps.exitNow(FAILED);
      resolve();
    });
  });
}
