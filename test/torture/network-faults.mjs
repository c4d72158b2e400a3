// What goes wrong between instances and brokers, one toxic or a few at a time, and how it heals.
// Each fault hits the connections that are there, by direction and by API key, and is gone when its function returns.
import { setTimeout as wait } from 'node:timers/promises';
import { APIS } from '@millrace/protocol';
import { apiName, checkedRanges } from './frames.mjs';

/** Requests that change something: losing their answer leaves the client in doubt. */
const IN_DOUBT = [
  APIS.produce,
  APIS.txnOffsetCommit,
  APIS.endTxn,
  APIS.joinGroup,
  APIS.initProducerId,
  APIS.addPartitionsToTxn,
  APIS.addOffsetsToTxn,
  APIS.syncGroup,
];
const HIT_MS = 8_000;

/** Runs `toxic` until it has acted `count` times or `ms` are over. `toxic(frame)` gives an action or undefined. Returns what it hit, by API. */
async function hitting(run, count, toxic, ms = HIT_MS) {
  const hits = {};
  let left = count;
  let enough;
  const done = new Promise((resolve) => (enough = resolve));
  const remove = run.proxy.add((frame) => {
    if (left === 0) return undefined;
    const action = toxic(frame);
    if (action === undefined) return undefined;
    const name = `${apiName(frame.key)} ${frame.direction}`;
    hits[name] = (hits[name] ?? 0) + 1;
    if (--left === 0) enough();
    return action;
  });
  await Promise.race([done, wait(ms, undefined, { ref: false })]);
  remove();
  run.note(hits);
}

async function lasting(run, ms, toxic) {
  const remove = run.proxy.add(toxic);
  await wait(ms);
  remove();
}

const whole = (chance, least, most) => least + Math.floor(chance() * (most - least + 1));
const pick = (chance, list) => list[Math.floor(chance() * list.length)];
const someDoor = (run) => pick(run.chance, [...run.instances.keys()]);

function withFlippedBit(bytes, chance, from, to) {
  const changed = Buffer.from(bytes);
  changed[whole(chance, from, to - 1)] ^= 1 << whole(chance, 0, 7);
  return changed;
}

/** Holds everything of one direction, or both, that passes one door; heals by letting it go on, or by ending the connections. */
async function hold(run, directions) {
  const door = someDoor(run);
  if (door === undefined) return;
  let heal;
  const until = new Promise((resolve) => (heal = resolve));
  await lasting(run, run.options.sessionMs * (0.3 + 2.2 * run.chance()), (frame) =>
    frame.door === door && directions.includes(frame.direction) ? { until } : undefined,
  );
  if (run.chance() < 0.5) for (const one of [...run.proxy.connections]) if (one.door.name === door) one.end(true);
  heal();
}

const SPEED_MIN = 64;

export const networkFaults = {
  /** 5 to 500 ms for each frame, in order. */
  netDelay: { weight: 6, run: (run) => lasting(run, whole(run.chance, 1500, 4000), () => ({ delayMs: 5 + 495 * run.chance() ** 3 })) },
  /** 64 to 512 KiB/s for each direction of a connection. */
  netThrottle: {
    weight: 4,
    run: (run) => {
      const kibPerSecond = whole(run.chance, SPEED_MIN, 512);
      return lasting(run, whole(run.chance, 1500, 4000), ({ bytes }) => ({ delayMs: (bytes.length / 1024 / kibPerSecond) * 1000 }));
    },
  },
  /** Connections end, by FIN or RST: all, those of one instance, or one. */
  netCut: {
    weight: 8,
    async run(run) {
      const door = someDoor(run);
      const all = [...run.proxy.connections];
      const some = pick(run.chance, [all, all.filter((one) => one.door.name === door), all.slice(0, 1)]);
      for (const one of some) one.end(run.chance() < 0.5);
    },
  },
  netBlackHole: { weight: 6, run: (run) => hold(run, ['up', 'down']) },
  netHalfOpen: { weight: 5, run: (run) => hold(run, [pick(run.chance, ['up', 'down'])]) },
  /** EndTxn waits on its connection for 1 to 20 s while everything else goes on. */
  netHoldEndTxn: {
    weight: 5,
    async run(run) {
      const delayMs = 1000 * Math.min(20, 1 - Math.log(1 - run.chance()) * 3);
      await hitting(run, 1, ({ key, direction }) => (key === APIS.endTxn.key && direction === 'up' ? { delayMs } : undefined));
      await wait(Math.min(delayMs, 4000));
    },
  },
  /** The client's connection ends; the broker gets its EndTxn (or another request of the transaction) later, when the client has gone on. */
  netLateRequest: {
    weight: 8,
    run: (run) => {
      const keys = [APIS.endTxn.key, APIS.endTxn.key, APIS.addPartitionsToTxn.key, APIS.txnOffsetCommit.key, APIS.produce.key, APIS.initProducerId.key];
      const wanted = pick(run.chance, keys);
      return hitting(run, whole(run.chance, 1, 3), ({ key, direction }) =>
        key === wanted && direction === 'up' ? { cut: true, lateMs: 20 + 6000 * run.chance() ** 3 } : undefined,
      );
    },
  },
  /** The request was carried out, its answer is lost: with its connection, or in silence. */
  netLoseAnswer: {
    weight: 14,
    run: (run) => {
      const wanted = pick(run.chance, IN_DOUBT).key;
      const action = run.chance() < 0.75 ? { cut: true } : { silence: true };
      return hitting(run, whole(run.chance, 1, 4), ({ key, direction }) => (key === wanted && direction === 'down' ? action : undefined));
    },
  },
  /** Part of a frame, then the end of the connection. */
  netTruncate: {
    weight: 5,
    run: (run) =>
      hitting(run, whole(run.chance, 1, 4), ({ bytes }) =>
        run.chance() < 0.2 ? { bytes: bytes.subarray(0, whole(run.chance, 1, bytes.length - 1)), thenCut: true } : undefined,
      ),
  },
  /** Frames in writes of one byte. */
  netDrip: { weight: 4, run: (run) => hitting(run, whole(run.chance, 20, 100), () => (run.chance() < 0.5 ? { drip: true } : undefined), 3000) },
  /** One bit of record data, in what is produced or in what is fetched. Its checksum must show it. */
  netFlipBody: {
    weight: 6,
    run: (run) => {
      const isRequest = run.chance() < 0.5;
      return hitting(run, whole(run.chance, 1, 6), (frame) => {
        if ((frame.direction === 'up') !== isRequest) return undefined;
        const ranges = checkedRanges(frame.bytes, frame, isRequest);
        if (ranges.length === 0) return undefined;
        return { bytes: withFlippedBit(frame.bytes, run.chance, ...pick(run.chance, ranges)) };
      });
    },
  },
  /** One bit of the correlation id, which ties an answer to its request. */
  netFlipHeader: {
    weight: 4,
    run: (run) =>
      hitting(run, whole(run.chance, 1, 3), ({ bytes, direction }) => {
        if (run.chance() > 0.2) return undefined;
        return { bytes: direction === 'up' ? withFlippedBit(bytes, run.chance, 8, 12) : withFlippedBit(bytes, run.chance, 4, 8) };
      }),
  },
  /** One bit of the length: the frames after it cannot be told apart any more. */
  netFlipLength: {
    weight: 4,
    run: (run) => hitting(run, 1, ({ bytes }) => (run.chance() < 0.2 ? { bytes: withFlippedBit(bytes, run.chance, 0, 4) } : undefined)),
  },
};
