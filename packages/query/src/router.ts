// The route table, and how a request finds its row.
import type { Exchange } from './exchange.ts';
import type { HttpReply } from './node-http.ts';
import { Problem } from './problem.ts';
import { readEntries, readEntry } from './routes/entries.ts';
import { alive, ready, showApp, showMetrics, showTasks, showTopology } from './routes/operations.ts';
import { describeStore, listStores } from './routes/stores.ts';
import { readSessions, readVersions, readWindows } from './routes/windows.ts';

export interface Route {
  /** Segments in braces match any one segment. */
  readonly path: string;
  readonly handle: (exchange: Exchange) => HttpReply | Promise<HttpReply>;
}

/** All are GET (and HEAD). */
export const ROUTES: readonly Route[] = [
  { path: '/v1/stores', handle: listStores },
  { path: '/v1/stores/{store}', handle: describeStore },
  { path: '/v1/stores/{store}/entries', handle: readEntries },
  { path: '/v1/stores/{store}/entries/{key}', handle: readEntry },
  { path: '/v1/stores/{store}/windows/{key}', handle: readWindows },
  { path: '/v1/stores/{store}/sessions/{key}', handle: readSessions },
  { path: '/v1/stores/{store}/versions/{key}', handle: readVersions },
  { path: '/v1/app', handle: showApp },
  { path: '/v1/tasks', handle: showTasks },
  { path: '/v1/topology', handle: showTopology },
  { path: '/livez', handle: alive },
  { path: '/readyz', handle: ready },
  { path: '/metrics', handle: showMetrics },
];

const PATTERNS = ROUTES.map((route) => ({ route, parts: route.path.split('/') }));

/** The route of `path` and the decoded segments for its braces. Throws route-not-found, invalid-parameter (bad escapes). */
export function findRoute(path: string): { readonly route: Route; readonly segments: readonly string[] } {
  const given = path.split('/');
  for (const { route, parts } of PATTERNS) {
    if (parts.length !== given.length || !parts.every((part, at) => part.startsWith('{') || part === given[at])) continue;
    return { route, segments: given.filter((_, at) => parts[at]?.startsWith('{')).map(decoded) };
  }
  throw new Problem('route-not-found', 'GET /v1/stores lists the stores; docs/http.md lists the routes.');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Problem('invalid-parameter', 'The path has a percent sign that starts no valid escape.');
  }
}
