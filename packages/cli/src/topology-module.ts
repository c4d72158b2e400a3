// The topologies of a user's module: its default export, or those it exports by name.
import { MillraceError } from '@millrace/core';
import type { Topology } from '@millrace/topology';
import type { CliDeps } from './command.ts';

/** Throws ERR_MODULE where the module cannot be loaded or exports no topology. */
export async function topologiesOf(path: string, deps: CliDeps): Promise<readonly Topology[]> {
  let loaded: Readonly<Record<string, unknown>>;
  try {
    loaded = await deps.loadModule(path);
  } catch (error) {
    throw new MillraceError('ERR_MODULE', `"${path}" cannot be loaded: ${error instanceof Error ? error.message : String(error)}`, { module: path }, error);
  }
  const all = [...new Set(Object.values(loaded))].filter(isTopology);
  const own = isTopology(loaded.default) ? [loaded.default] : all;
  if (own.length > 0) return own;
  throw new MillraceError('ERR_MODULE', `"${path}" exports no topology. Export one: export default topology('name', (t) => { … }).`, { module: path });
}

function isTopology(value: unknown): value is Topology {
  const { nodes, subtopologies, describe } = (value ?? {}) as Partial<Topology>;
  return nodes instanceof Map && Array.isArray(subtopologies) && typeof describe === 'function';
}
