// millrace broker: the embedded broker alone, in the foreground, until SIGTERM or SIGINT.
// The one line on stdout comes when clients can connect, so a script may wait for it.
import { startBroker } from '@millrace/broker';
import { type CliDeps, type Command, DONE, FAILED, readInteger, readOptions, UsageError } from '../command.ts';

const PORT_DEFAULT = 9092;
const PARTITIONS_DEFAULT = 1;

export const brokerCommand: Command = {
  name: 'broker',
  summary: 'run the embedded broker alone',
  help: `Example: millrace broker --port 9092 --data-dir ./broker-data

  --data-dir DIR     where the log is kept; created if missing (required)
  --port PORT        port to listen on, 0 for any free one (default ${PORT_DEFAULT})
  --host ADDRESS     address to listen on (default 127.0.0.1; there is no authentication)
  --partitions N     partitions of topics created without a number (default ${PARTITIONS_DEFAULT})`,
  async run(args, deps) {
    const options = readOptions(args, ['port', 'data-dir', 'host', 'partitions']);
    const dataDir = options['data-dir'];
    if (dataDir === undefined) throw new UsageError('Say where to keep the log: --data-dir DIR.');
    const port = readInteger('port', options.port ?? String(PORT_DEFAULT), 0, 65_535);
    const partitions = readInteger('partitions', options.partitions ?? String(PARTITIONS_DEFAULT), 1, 10_000);
    const stopped = waitForStop(deps);
    const broker = await startBroker({ dataDir, host: options.host ?? '127.0.0.1', port, partitions }, deps.ports);
    deps.printLine(`broker ready on ${broker.host}:${broker.port}, data in ${dataDir}`);
    await stopped;
    await broker.close();
    return DONE;
  },
};

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
