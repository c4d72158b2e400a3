// The bundle of ports that a program hands down from its composition root.
import type { Chance } from './chance.ts';
import type { Clock } from './clock.ts';
import type { Disk } from './disk.ts';
import type { Logger } from './log.ts';
import type { Network } from './network.ts';
import type { Timers } from './timers.ts';

/** What a part needs of the machine. Parts take the least they need (`Pick<Ports, 'clock' | 'timers'>`). */
export interface Ports {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly chance: Chance;
  readonly network: Network;
  readonly disk: Disk;
  readonly log: Logger;
}
