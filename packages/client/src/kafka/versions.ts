// Which version of each API both sides speak, and the features that the cluster has finalized.
// Owns: the ApiVersions exchange and the choice.  Never: sends anything before versions are known, assumes a version of its own accord.
// V1 both ends count: a broker whose minimum is above our maximum is refused with both ranges named.  Source: KIP-511, KIP-584.
import { MillraceError } from '@millrace/core';
import { APIS, type Api, type RequestInput, type ResponseBody, type VersionRange } from '@millrace/protocol';
import { kafkaFailure } from './error-response.ts';

export interface BrokerVersions {
  readonly ranges: ReadonlyMap<number, VersionRange>;
  /** Finalized feature levels by name. */
  readonly features: ReadonlyMap<string, number>;
}

/** The only thing negotiation needs of a connection. */
export interface VersionExchange {
  requestAt<A extends Api>(api: A, version: number, body: RequestInput<A>, timeoutMs: number): Promise<ResponseBody<A>>;
}

const UNSUPPORTED_VERSION = 35;
/** Letters, digits, `-` and `.` only, beginning with a letter or digit: the broker refuses anything else. */
const SOFTWARE = { clientSoftwareName: 'millrace', clientSoftwareVersion: '0.1.0' };

/** Asks with version 3; a broker that does not know it says so in the form of version 0 and is asked again lower. */
export async function negotiateVersions(exchange: VersionExchange, timeoutMs: number): Promise<BrokerVersions> {
  let body = await exchange.requestAt(APIS.apiVersions, 3, SOFTWARE, timeoutMs);
  if (body.errorCode === UNSUPPORTED_VERSION) {
    const offered = body.apiKeys.find((entry) => entry.apiKey === APIS.apiVersions.key);
    const lower = Math.min(2, offered?.maxVersion ?? 0);
    body = await exchange.requestAt(APIS.apiVersions, lower, SOFTWARE, timeoutMs);
  }
  if (body.errorCode !== 0) throw kafkaFailure(body.errorCode, 'ApiVersions');
  return {
    ranges: new Map(body.apiKeys.map((entry) => [entry.apiKey, { min: entry.minVersion, max: entry.maxVersion }])),
    features: new Map(body.finalizedFeatures.map((feature) => [feature.name, feature.maxVersionLevel])),
  };
}

/** The highest version inside our range, the broker's, and `versionMax`. Throws ERR_BROKER_VERSION. */
export function agreeVersion(api: Api, broker: BrokerVersions | undefined, versionMax?: number): number {
  const ours = api.client ?? api.versions;
  const theirs = broker?.ranges.get(api.key);
  if (theirs === undefined)
    throw new MillraceError('ERR_BROKER_VERSION', `The broker does not offer ${api.name}. Millrace needs Apache Kafka 3.0 or newer.`, { api: api.name });
  const version = Math.min(ours.max, theirs.max, versionMax ?? ours.max);
  if (version < ours.min || version < theirs.min) {
    const message = `The broker speaks ${api.name} ${theirs.min}-${theirs.max}, Millrace ${ours.min}-${Math.min(ours.max, versionMax ?? ours.max)}. Use Apache Kafka 3.0 or newer, or a newer Millrace.`;
    throw new MillraceError('ERR_BROKER_VERSION', message, { api: api.name });
  }
  return version;
}
