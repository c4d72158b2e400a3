// What a broker has counted, as a page for Prometheus: a listener on loopback that answers GET /metrics and nothing else.
// Owns: that listener.  Never: reads a body, keeps a connection open, listens where others can reach it.
// P1 a request is at most 8 KiB and takes at most 5 s; at most 16 are under way.
import type { Listener, MetricSnapshot, Ports, Socket, SocketEvents, Timer } from '@millrace/core';

const HOST = '127.0.0.1';
const REQUEST_BYTES_MAX = 8 * 1024;
const REQUEST_MS = 5_000;
const CONNECTIONS_MAX = 16;
const PREFIX = 'millrace_broker_';

/** Resolves with the listener. Rejects with ERR_PORT_IN_USE. */
export function serveMetrics(port: number, ports: Pick<Ports, 'network' | 'timers'>, snapshot: () => MetricSnapshot): Promise<Listener> {
  let open = 0;
  const admit = (): (() => void) | undefined => {
    if (open >= CONNECTIONS_MAX) return undefined;
    open++;
    return () => void open--;
  };
  return ports.network.listen({ host: HOST, port, admit }, (socket) => answerOne(socket, ports, snapshot));
}

function answerOne(socket: Socket, { timers }: Pick<Ports, 'timers'>, snapshot: () => MetricSnapshot): SocketEvents {
  const timer: Timer = timers.after(REQUEST_MS, () => socket.destroy());
  let head = '';
  return {
    onData(chunk) {
      head += chunk.toString('latin1');
      if (head.length > REQUEST_BYTES_MAX) socket.destroy();
      else if (head.includes('\r\n\r\n')) {
        const isPage = /^GET \/metrics(\?\S*)? HTTP\/1\.[01]\r\n/.test(head);
        socket.write(isPage ? response('200 OK', metricsText(snapshot())) : response('404 Not Found', 'There is only GET /metrics.\n'));
        socket.end();
      }
    },
    onClose: () => timer.cancel(),
  };
}

function response(status: string, body: string): Buffer {
  const bytes = Buffer.from(body);
  const type = 'text/plain; version=0.0.4; charset=utf-8';
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`), bytes]);
}

/** Prometheus' text form, version 0.0.4. */
export function metricsText(snapshot: MetricSnapshot): string {
  const lines: string[] = [];
  let last = '';
  for (const { name, labels, value } of [...snapshot].sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0))) {
    const full = PREFIX + name;
    if (full !== last) lines.push(`# TYPE ${full} ${name.endsWith('_total') ? 'counter' : 'gauge'}`);
    last = full;
    const inner = Object.entries(labels).map(([key, text]) => `${key}="${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`);
    lines.push(`${full}${inner.length === 0 ? '' : `{${inner.join(',')}}`} ${value}`);
  }
  return `${lines.join('\n')}\n`;
}
