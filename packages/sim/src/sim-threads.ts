// Worker threads of the simulation: a life of their own within their process, and messages as structured clones that take a moment.
// T1 messages of one direction keep their order.  T2 a thread that is ended from outside has no effect any more, wherever it was.
import type { Ports, Thread, ThreadEvents, ThreadSide, Threads } from '@millrace/core';
import { SimProcess } from './sim-process.ts';

const MESSAGE_MS_MAX = 0.3;

/** `serve` is what a thread runs; its process dies with the thread. */
export function threadsOf(
  parent: SimProcess,
  portsOf: (thread: SimProcess) => Ports,
  serve: (side: ThreadSide, ports: Ports, thread: SimProcess) => Promise<void>,
): Threads & { readonly alive: ReadonlySet<SimProcess> } {
  const alive = new Set<SimProcess>();
  let made = 0;
  return {
    alive,
    spawn(_module, data, events): Thread {
      const thread = new SimProcess(parent.world, parent.host, `${parent.name}/t${made++}`, parent);
      alive.add(thread);
      const toThread = mailbox(thread);
      const toParent = mailbox(parent);
      let receive: (message: unknown) => void = () => {};
      let over = false;
      const exit = (error: Error | undefined): void => {
        if (over) return;
        over = true;
        toParent(() => events.onExit(error));
      };
      thread.onEnd((how) => {
        alive.delete(thread);
        exit(how === 'exit' ? undefined : new Error('the thread was killed'));
      });
      const side: ThreadSide = {
        data: structuredClone(data),
        post: (message) => post(thread, events, toParent, message),
        onMessage(given) {
          receive = given;
        },
        close: () => thread.end('exit'),
      };
      toThread(() => void serve(side, portsOf(thread), thread));
      return {
        post(message) {
          const copy = structuredClone(message);
          if (parent.ended === undefined) toThread(() => receive(copy));
        },
        terminate: () =>
          new Promise((resolve) => {
            thread.end('exit');
            parent.timers.after(MESSAGE_MS_MAX, resolve);
          }),
      };
    },
  };
}

function post(thread: SimProcess, events: ThreadEvents, toParent: (run: () => void) => void, message: unknown): void {
  if (thread.ended !== undefined) return;
  const copy = structuredClone(message);
  toParent(() => events.onMessage(copy));
}

/** Runs things in the receiver's life, in order, each a moment later. */
function mailbox(receiver: SimProcess): (run: () => void) => void {
  let lastMs = 0;
  const { time } = receiver.world;
  return (run) => {
    const nowMs = time.clock.monotonicMs();
    lastMs = Math.max(lastMs, nowMs + receiver.chance.float() * MESSAGE_MS_MAX);
    receiver.share.timers.after(Math.max(0, lastMs - nowMs), run);
  };
}
