// One hop to the instance that owns a key. The address comes from group metadata, which any member can write: it is checked first.
// R1 at most one hop: a request that came with Millrace-Hops is answered here or not at all.  R2 redirects are never followed.
import type { PeerAddress } from './host.ts';
import { type HttpReply, isIP, type PeerClient, PeerFailure } from './node-http.ts';

export const HOPS_HEADER = 'millrace-hops';

export interface PeerRoute {
  readonly client: PeerClient;
  /** A server bound to loopback passes requests on to loopback only. */
  readonly loopbackOnly: boolean;
}

/** Passes `target` on. Rejects with PeerFailure: refused address, unreachable, too slow. */
export async function askPeer(route: PeerRoute, address: PeerAddress, target: string, timeoutMs: number, signal: AbortSignal): Promise<HttpReply> {
  if (!isAllowedPeer(address, route.loopbackOnly)) throw new PeerFailure('the address the owner gave is not one that requests are passed on to', false);
  return route.client.get(address, target, { [HOPS_HEADER]: '1', accept: 'application/json' }, timeoutMs, signal);
}

/** False for anything that is no plain host and port, for link-local and unspecified addresses, and beyond loopback where only that is allowed. */
export function isAllowedPeer(address: PeerAddress, loopbackOnly: boolean): boolean {
  const { host, port } = address;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return false;
  if (isLoopback(host)) return true;
  if (loopbackOnly) return false;
  const version = isIP(host);
  if (version === 4) return !/^(0\.|169\.254\.|2(2[4-9]|[345]\d)\.)/.test(host);
  if (version === 6) return !/^(fe[89ab]|ff|::)/i.test(host);
  // A host name; names of digits and dots alone, or in hex, are addresses in disguise.
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(host) && /[a-z][a-z0-9-]*$/i.test(host) && !/^0x/i.test(host.split('.').at(-1) ?? '');
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
