// The security of one broker, put together: who may log in, who may do what, how much.
// Owns: the composition.  Never: decides anything itself.
import type { MetricFactory, Ports } from '@millrace/core';
import type { HandlerEntry } from '../handler.ts';
import { saslHandshakeHandler } from '../handlers/17-sasl-handshake.ts';
import { describeAclsHandler } from '../handlers/29-describe-acls.ts';
import { createAclsHandler } from '../handlers/30-create-acls.ts';
import { deleteAclsHandler } from '../handlers/31-delete-acls.ts';
import { saslAuthenticateHandler } from '../handlers/36-sasl-authenticate.ts';
import { describeClientQuotasHandler } from '../handlers/48-describe-client-quotas.ts';
import { alterClientQuotasHandler } from '../handlers/49-alter-client-quotas.ts';
import { describeUserScramCredentialsHandler } from '../handlers/50-describe-user-scram-credentials.ts';
import { alterUserScramCredentialsHandler } from '../handlers/51-alter-user-scram-credentials.ts';
import { Authorizer } from './access/authorizer.ts';
import { guardEntries, type TopicFacts } from './access/guard.ts';
import { REQUIREMENTS } from './access/requirements.ts';
import type { LoginRules } from './login.ts';
import type { FilledSecurity } from './options.ts';
import { Quotas } from './quota/quotas.ts';
import { ITERATIONS_MIN } from './scram/credential.ts';
import { StoredSecurityFile } from './stored-security.ts';
import { Users } from './users.ts';

export interface Security {
  /** Undefined: nobody need log in. */
  readonly login: LoginRules | undefined;
  readonly quotas: Quotas;
  /** What administrators set over the wire. */
  readonly handlers: readonly HandlerEntry[];
  /** Puts the guard before every handler, if access is controlled. */
  guard(entries: readonly HandlerEntry[], topics: TopicFacts): readonly HandlerEntry[];
}

/** How long a refused login is held back, as connection.failed.authentication.delay.ms. */
const REFUSAL_DELAY_MS = 100;

/** Throws ERR_DATA_DIR when what was stored cannot be read. */
export async function openSecurity(options: FilledSecurity, dataDir: string, ports: Ports, metrics: MetricFactory): Promise<Security> {
  const { disk, chance, clock, timers, log } = ports;
  const file = new StoredSecurityFile(disk, dataDir, chance);
  const { sasl, authorization } = options;
  if (sasl !== undefined) file.keepSecret();
  const users = await Users.open(file, chance, sasl?.users ?? {}, sasl?.mechanisms ?? [], sasl?.iterations ?? ITERATIONS_MIN);
  const authorizer = authorization === undefined ? undefined : new Authorizer(file, authorization, metrics.counter('authorization_denied_total'));
  const quotas = new Quotas(file, clock);
  const login: LoginRules | undefined =
    sasl === undefined
      ? undefined
      : {
          users,
          mechanisms: sasl.mechanisms,
          sessionMs: sasl.sessionMs,
          refusalDelayMs: REFUSAL_DELAY_MS,
          clock,
          timers,
          chance,
          log,
          accepted: metrics.counter('logins_accepted_total'),
          refused: metrics.counter('logins_refused_total'),
        };
  return {
    login,
    quotas,
    handlers: [
      saslHandshakeHandler(),
      saslAuthenticateHandler(),
      describeAclsHandler(authorizer),
      createAclsHandler(authorizer),
      deleteAclsHandler(authorizer),
      describeClientQuotasHandler(quotas),
      alterClientQuotasHandler(quotas),
      describeUserScramCredentialsHandler(users),
      alterUserScramCredentialsHandler(users),
    ],
    guard: (entries, topics) => (authorizer === undefined ? entries : guardEntries(entries, REQUIREMENTS, authorizer, topics)),
  };
}
