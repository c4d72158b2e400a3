// What the instance says about itself: probes, identity, tasks, topology, metrics.
import type { MetricSample } from '@millrace/core';
import { type Exchange, json } from '../exchange.ts';
import type { HttpReply } from '../node-http.ts';
import { Problem } from '../problem.ts';

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };

export function alive(exchange: Exchange): HttpReply {
  const { alive: ok, state } = exchange.host.health();
  return { status: ok ? 200 : 503, headers: TEXT, body: `${state}\n` };
}

export function ready(exchange: Exchange): HttpReply {
  const { ready: ok, state } = exchange.host.health();
  return { status: ok ? 200 : 503, headers: TEXT, body: `${state}\n` };
}

export function showApp(exchange: Exchange): HttpReply {
  exchange.parameters([]);
  return json(offered(exchange.host.app?.()));
}

export function showTasks(exchange: Exchange): HttpReply {
  exchange.parameters([]);
  return json({ items: offered(exchange.host.tasks?.()), nextCursor: null });
}

export function showTopology(exchange: Exchange): HttpReply {
  const format = exchange.parameters(['format']).choice('format', ['json', 'text']);
  const topology = offered(exchange.host.topology?.());
  return format === 'json' ? json(topology.data) : { status: 200, headers: TEXT, body: topology.text };
}

export function showMetrics(exchange: Exchange): HttpReply {
  const samples = offered(exchange.host.metrics?.());
  return { status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }, body: prometheusText(samples) };
}

/** Samples in the text format of Prometheus, those of one name together, as the format demands. */
export function prometheusText(samples: readonly MetricSample[]): string {
  const families = new Map<string, string[]>();
  for (const { name, labels, value } of samples) {
    const family = name.replaceAll(/[^a-zA-Z0-9_:]/g, '_').replace(/^(?=\d)/, '_');
    const pairs = Object.entries(labels).map(([label, text]) => `${label.replaceAll(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_')}="${escaped(text)}"`);
    const lines = families.get(family) ?? [];
    lines.push(`${family}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${number(value)}\n`);
    families.set(family, lines);
  }
  return [...families].map(([family, lines]) => `# TYPE ${family} untyped\n${lines.join('')}`).join('');
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function number(value: number): string {
  return value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

function offered<T>(value: T | undefined): T {
  if (value === undefined) throw new Problem('not-available', 'This instance does not offer it.');
  return value;
}
