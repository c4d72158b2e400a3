// What the APIs of logins, access rules, quotas and credentials need.
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { PASS, type Row, row } from './guard.ts';

const CLUSTER_DENIED = ERROR_CODES.CLUSTER_AUTHORIZATION_FAILED;
const DENIED = { errorCode: CLUSTER_DENIED, errorMessage: 'Cluster authorization failed.' } as const;

/** APIs that everybody may ask for: they come before a name is known, or say nothing about anybody. */
const free = [APIS.saslHandshake, APIS.apiVersions, APIS.saslAuthenticate].map((api) => row(api, 'nothing', () => PASS));

const describeAcls = row(APIS.describeAcls, 'describe on the cluster', (_, ask) =>
  ask.mayCluster('describe') ? PASS : { kind: 'answer', response: { ...DENIED, resources: [] } },
);
const createAcls = row(APIS.createAcls, 'alter on the cluster', ({ creations }, ask) =>
  ask.mayCluster('alter') ? PASS : { kind: 'answer', response: { results: creations.map(() => DENIED) } },
);
const deleteAcls = row(APIS.deleteAcls, 'alter on the cluster', ({ filters }, ask) =>
  ask.mayCluster('alter') ? PASS : { kind: 'answer', response: { filterResults: filters.map(() => ({ ...DENIED, matchingAcls: [] })) } },
);

const describeClientQuotas = row(APIS.describeClientQuotas, 'describe configs on the cluster', (_, ask) =>
  ask.mayCluster('describeConfigs') ? PASS : { kind: 'answer', response: { ...DENIED, entries: null } },
);
const alterClientQuotas = row(APIS.alterClientQuotas, 'alter configs on the cluster', ({ entries }, ask) =>
  ask.mayCluster('alterConfigs') ? PASS : { kind: 'answer', response: { entries: entries.map(({ entity }) => ({ ...DENIED, entity })) } },
);

const describeUserScramCredentials = row(APIS.describeUserScramCredentials, 'describe on the cluster', (_, ask) =>
  ask.mayCluster('describe') ? PASS : { kind: 'answer', response: { ...DENIED, results: [] } },
);
const alterUserScramCredentials = row(APIS.alterUserScramCredentials, 'alter on the cluster', ({ deletions, upsertions }, ask) =>
  ask.mayCluster('alter')
    ? PASS
    : { kind: 'answer', response: { results: [...new Set([...deletions, ...upsertions].map(({ name }) => name))].map((user) => ({ ...DENIED, user })) } },
);

export const CLUSTER_ROWS: readonly Row[] = [
  ...free,
  describeAcls,
  createAcls,
  deleteAcls,
  describeClientQuotas,
  alterClientQuotas,
  describeUserScramCredentials,
  alterUserScramCredentials,
];
