// A TCP proxy between clients and brokers that knows Kafka's frames, so that a fault can hit one kind of request or answer.
// A door is what one client connects to: an own port per broker. Answers that tell addresses tell the door's, so a client never gets round it.
// Owns: sockets and the order of bytes in each direction.  Never: decides what goes wrong (network-faults.mjs adds toxics and takes them away).
// P1 without toxics every byte arrives as it came, but for addresses.  P2 in one direction of one connection nothing overtakes.
// P3 bytes that wait are bounded: a direction with more than HELD_MAX stops reading.
import { connect, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { correlationIdOf, frameSplitter, requestHeader, withAddresses } from './frames.mjs';

const HELD_MAX = 8 * 1024 * 1024;
const DRIP_BYTES_MAX = 300;

/**
 * A toxic is `(frame) => action | undefined`, asked for each whole frame. The frame: door, direction ('up': request, 'down': answer), key, version,
 * bytes (length included), connection. Actions, the first toxic that has one decides:
 * `{ delayMs }`, `{ until: promise }` (nothing behind it passes either), `{ bytes }` (sent in its place), `{ bytes, thenCut: true }`, `{ drip: true }`,
 * `{ cut: true }` (this frame is not passed on, the client's connection ends), `{ cut: true, lateMs }` (the broker still gets it, so much later),
 * `{ silence: true }` (it and all that follows in this direction never arrive; the connection stays).
 */
export function createProxy() {
  const doors = new Map();
  const connections = new Set();
  const toxics = new Set();
  const stats = { connections: 0, frames: 0, broken: 0 };

  const proxy = {
    stats,
    toxics,
    connections,
    /** Adds a toxic; what it returns takes it away. */
    add(toxic) {
      toxics.add(toxic);
      return () => toxics.delete(toxic);
    },
    /** Opens a port per broker address (`host:port`) for the client `name`; gives those ports' addresses. */
    async openDoor(name, brokers) {
      const door = { name, servers: [], ports: new Map() };
      for (const broker of brokers) {
        const server = createServer((client) => join(client, door, broker));
        await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
        door.servers.push(server);
        door.ports.set(broker, server.address().port);
      }
      doors.set(name, door);
      return [...door.ports.values()].map((port) => `127.0.0.1:${port}`);
    },
    closeDoor(name) {
      for (const server of doors.get(name)?.servers ?? []) server.close();
      doors.delete(name);
      for (const one of connections) if (one.door.name === name) one.end();
    },
    close() {
      toxics.clear();
      for (const name of [...doors.keys()]) proxy.closeDoor(name);
    },
  };

  function join(client, door, brokerAddress) {
    const [host, port] = brokerAddress.split(':');
    const broker = connect(Number(port), host);
    const connection = {
      door,
      brokerAddress,
      sockets: [client, broker],
      over: false,
      late: false, // cut off from its client, with a request still on its way
      end(reset = false) {
        connection.over = true;
        connections.delete(connection);
        for (const socket of [client, broker]) reset ? socket.resetAndDestroy() : socket.destroy();
      },
    };
    connections.add(connection);
    stats.connections++;
    const asked = new Map();
    const rewrite = (frame, asker) => withAddresses(frame, asker, (shown, shownPort) => doorOf(door, shown, shownPort));
    direction(connection, client, broker, 'up', (bytes) => {
      const header = requestHeader(bytes);
      asked.set(header.correlationId, header);
      return { header, bytes };
    });
    direction(connection, broker, client, 'down', (bytes) => {
      const header = asked.get(correlationIdOf(bytes));
      if (header === undefined) return { header: { key: -1, version: -1 }, bytes };
      asked.delete(header.correlationId);
      return { header, bytes: rewrite(bytes, header) };
    });
  }

  function direction(connection, from, to, name, read) {
    const splitter = frameSplitter();
    const line = { held: 0, tail: Promise.resolve(), silent: false };
    from.setNoDelay(true);
    from.on('error', () => connection.end());
    from.on('close', () => {
      if (!connection.late || name === 'down') connection.end();
    });
    from.on('data', (chunk) => {
      let frames;
      try {
        frames = splitter.feed(chunk);
      } catch {
        stats.broken++;
        return connection.end(); // not Kafka any more: whoever sent it is told by the end of the connection
      }
      for (const whole of frames) {
        stats.frames++;
        const { header, bytes } = read(whole);
        const frame = { door: connection.door.name, direction: name, key: header.key, version: header.version, bytes, connection };
        line.held += bytes.length;
        if (line.held > HELD_MAX) from.pause();
        line.tail = line.tail
          .then(() => pass(connection, frame, to, line))
          .catch(() => connection.end())
          .finally(() => {
            line.held -= bytes.length;
            if (line.held <= HELD_MAX / 2) from.resume();
          });
      }
    });
  }

  async function pass(connection, frame, to, line) {
    if (connection.over || line.silent) return;
    const action = decide(frame);
    if (action.delayMs !== undefined) await wait(action.delayMs);
    if (action.until !== undefined) await action.until;
    if (connection.over) return;
    if (action.silence) line.silent = true;
    else if (action.cut) cutOff(connection, frame, to, action);
    else if (action.drip) await drip(to, frame.bytes);
    else if (!to.write(action.bytes ?? frame.bytes)) await drained(to);
    if (action.thenCut) connection.end();
  }

  function decide(frame) {
    for (const toxic of toxics) {
      const action = toxic(frame);
      if (action !== undefined) return action;
    }
    return {};
  }

  return proxy;
}

/** What a client of `door` is told in place of a broker's address. An address that is none of ours would be a way round: refuse loudly. */
function doorOf(door, host, port) {
  for (const [broker, doorPort] of door.ports) if (broker.endsWith(`:${port}`)) return { host: '127.0.0.1', port: doorPort };
  throw new Error(`the broker told ${host}:${port}, which has no door`);
}

/** Ends the client's side now; with `lateMs` the broker's side lives on and gets the request later, when the client may have gone on elsewhere. */
function cutOff(connection, frame, broker, { lateMs }) {
  if (lateMs === undefined) return connection.end();
  connection.late = true;
  connection.over = true;
  for (const socket of connection.sockets) if (socket !== broker) socket.destroy();
  const timer = setTimeout(() => {
    if (!broker.destroyed) broker.write(frame.bytes, () => setTimeout(() => connection.end(), 1000).unref());
  }, lateMs);
  timer.unref();
}

async function drip(to, bytes) {
  const slow = Math.min(bytes.length, DRIP_BYTES_MAX);
  for (let at = 0; at < slow; at++) {
    to.write(bytes.subarray(at, at + 1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  to.write(bytes.subarray(slow));
}

const drained = (socket) => new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
