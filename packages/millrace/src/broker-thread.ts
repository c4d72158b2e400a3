// The embedded broker's own thread: user code and queries on the main thread never delay it, nor it them.
// Messages: out `ready` with the bound port or `failed`; in `close`.
import { startBroker } from '@millrace/broker';
import { errorToWire, jsonLogger, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers, threadSide } from '@millrace/core';

export interface BrokerThreadData {
  readonly dataDir: string;
  readonly port: number;
  readonly partitions: number;
}

export type FromBrokerThread =
  | { readonly kind: 'ready'; readonly host: string; readonly port: number }
  | { readonly kind: 'failed'; readonly error: ReturnType<typeof errorToWire> }
  | { readonly kind: 'closed' };

async function main(): Promise<void> {
  const side = threadSide();
  const data = side.data as BrokerThreadData;
  const say = (message: FromBrokerThread): void => side.post(message);
  const log = jsonLogger(
    'warn',
    (line) => process.stderr.write(`${line}\n`),
    () => systemClock.nowMs(),
  );
  try {
    const broker = await startBroker(
      { dataDir: data.dataDir, host: '127.0.0.1', port: data.port, partitions: data.partitions },
      { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log },
    );
    side.onMessage(() => {
      void broker.close().then(() => {
        say({ kind: 'closed' });
        side.close();
      });
    });
    say({ kind: 'ready', host: broker.host, port: broker.port });
  } catch (error) {
    say({ kind: 'failed', error: errorToWire(error) });
    side.close();
  }
}

await main();
