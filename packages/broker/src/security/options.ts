// What may be set about security, with its defaults, and the checks that keep a mistake from opening the door.
// Owns: names, defaults, refusals.  Never: reads the environment, repeats a secret in an error.
import { type Disk, explainError, MillraceError } from '@millrace/core';
import { type AccessRule, CLUSTER_NAME, EVERY_HOST, isKey, OPERATIONS, PATTERN_TYPES, PERMISSIONS, RESOURCE_TYPES, ruleFault } from './access/rule.ts';
import { MECHANISMS, type Mechanism } from './login.ts';
import { ITERATIONS_MAX, ITERATIONS_MIN } from './scram/credential.ts';

/** TLS on the listener. Each of key, cert and ca is PEM text or the path of a PEM file. */
export interface ListenerTls {
  readonly key: string;
  /** The certificate, followed by those between it and the authority. */
  readonly cert: string;
  readonly passphrase?: string;
  /** The authorities whose client certificates are accepted. */
  readonly ca?: string;
  /** 'none' (default), 'requested' or 'required'. A verified certificate names its client where there is no SASL. */
  readonly clientAuth?: 'none' | 'requested' | 'required';
  /** Default 'TLSv1.2'. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

export interface ListenerSasl {
  /** Default ['scram-sha-256', 'scram-sha-512']; 'plain' must be asked for. */
  readonly mechanisms?: readonly ('plain' | 'scram-sha-256' | 'scram-sha-512')[];
  /** Name → password. More users can be added over the wire (AlterUserScramCredentials), for SCRAM. */
  readonly users?: Readonly<Record<string, string>>;
  /** Of the users above. 4096 (default) to 16384. */
  readonly iterations?: number;
  /** connections.max.reauth.ms: a login is good for this long, then the client logs in again. 0 (default): as long as the connection. */
  readonly sessionMs?: number;
  /** PLAIN shows passwords to the network; beyond loopback it is refused without TLS unless this is true. */
  readonly plainWithoutTls?: boolean;
}

/** One access rule; Kafka's words, and its defaults for what is left out. */
export interface AccessRuleOption {
  readonly principal: string;
  readonly operation: AccessRule['operation'];
  readonly resourceType: AccessRule['resourceType'];
  /** Default for the cluster: its one name. */
  readonly name?: string;
  /** Default 'literal'. */
  readonly pattern?: AccessRule['pattern'];
  /** Default '*'. */
  readonly host?: string;
  /** Default 'allow'. */
  readonly permission?: AccessRule['permission'];
}

/** Set: who may do what is asked for every request, and what no rule allows is refused. */
export interface AuthorizationOptions {
  /** Principals that may everything: `User:admin`. */
  readonly superUsers?: readonly string[];
  /** allow.everyone.if.no.acl.found. Default false. */
  readonly allowIfNoRule?: boolean;
  /** Rules beside those that administrators add over the wire (CreateAcls). */
  readonly rules?: readonly AccessRuleOption[];
}

export interface SecurityOptions {
  readonly tls?: ListenerTls;
  readonly sasl?: ListenerSasl;
  readonly authorization?: AuthorizationOptions;
  /** Listening beyond loopback without a login is refused unless this is true: then whoever reaches the port may do everything. */
  readonly exposeUnsafely?: boolean;
}

export interface FilledSasl {
  readonly mechanisms: readonly Mechanism[];
  readonly users: Readonly<Record<string, string>>;
  readonly iterations: number;
  readonly sessionMs: number;
}
export interface FilledAuthorization {
  readonly superUsers: readonly string[];
  readonly allowIfNoRule: boolean;
  readonly rules: readonly AccessRule[];
}
export interface FilledSecurity {
  readonly tls: ListenerTls | undefined;
  readonly sasl: FilledSasl | undefined;
  readonly authorization: FilledAuthorization | undefined;
}

/** Throws ERR_OPTION; also for a door that would stand open by mistake. */
export function fillSecurity(options: SecurityOptions | undefined, host: string): FilledSecurity {
  const { tls, sasl, authorization } = options ?? {};
  const filled: FilledSecurity = {
    tls: tls === undefined ? undefined : checkTls(tls),
    sasl: sasl === undefined ? undefined : fillSasl(sasl),
    authorization: authorization === undefined ? undefined : fillAuthorization(authorization),
  };
  if (isLoopback(host)) return filled;
  const hasLogin = sasl !== undefined || tls?.clientAuth === 'required';
  if (!hasLogin && options?.exposeUnsafely !== true)
    throw optionError(
      'host',
      `is ${host}, which others can reach, and nobody has to log in`,
      'Listen on 127.0.0.1, or set security.sasl (and security.tls), or set security.exposeUnsafely to true if whoever reaches the port may do everything.',
    );
  if (filled.sasl?.mechanisms.includes('PLAIN') === true && tls === undefined && sasl?.plainWithoutTls !== true)
    throw optionError(
      'security.sasl.mechanisms',
      `has plain, which would show passwords to the network on ${host}`,
      'Set security.tls, use scram-sha-256 or scram-sha-512, or set security.sasl.plainWithoutTls to true if that network is trusted.',
    );
  return filled;
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function checkTls(tls: ListenerTls): ListenerTls {
  for (const name of ['key', 'cert'] as const)
    if (typeof tls[name] !== 'string' || tls[name] === '')
      throw optionError(`security.tls.${name}`, 'is missing', 'Give it as PEM text or as the path of a PEM file.');
  const { clientAuth = 'none', minVersion = 'TLSv1.2' } = tls;
  if (!['none', 'requested', 'required'].includes(clientAuth))
    throw optionError('security.tls.clientAuth', `is ${String(clientAuth)}`, "Use 'none', 'requested' or 'required'.");
  if (!['TLSv1.2', 'TLSv1.3'].includes(minVersion)) throw optionError('security.tls.minVersion', `is ${String(minVersion)}`, "Use 'TLSv1.2' or 'TLSv1.3'.");
  if (clientAuth !== 'none' && tls.ca === undefined)
    throw optionError('security.tls.ca', 'is missing', 'Client certificates are asked for: name the authorities that have signed them.');
  return tls;
}

/** The options of node:tls for a listener. Reads the files that are named. Throws ERR_OPTION. */
export function listenerTls(tls: ListenerTls, disk: Disk, handshakeMs: number): object {
  const read = (name: 'key' | 'cert' | 'ca'): Buffer | string | undefined => {
    const given = tls[name];
    if (given === undefined || given.includes('-----BEGIN')) return given;
    try {
      return Buffer.from(disk.readWhole(given));
    } catch (cause) {
      throw optionError(
        `security.tls.${name}`,
        `names the file ${given}, which cannot be read (${explainError(cause)})`,
        'Name a PEM file this user may read.',
      );
    }
  };
  const { clientAuth = 'none' } = tls;
  return {
    key: read('key'),
    cert: read('cert'),
    ...(tls.ca === undefined ? {} : { ca: read('ca') }),
    ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
    minVersion: tls.minVersion ?? 'TLSv1.2',
    requestCert: clientAuth !== 'none',
    // Only a certificate that was verified gives its client a name, so 'requested' lets others in without one.
    rejectUnauthorized: clientAuth === 'required',
    handshakeTimeout: handshakeMs,
  };
}

function fillSasl(sasl: ListenerSasl): FilledSasl {
  const asked = sasl.mechanisms ?? ['scram-sha-256', 'scram-sha-512'];
  const mechanisms = asked.map((name) => {
    const known = MECHANISMS.find((one) => one === String(name).toUpperCase());
    if (known === undefined) throw optionError('security.sasl.mechanisms', `has ${String(name)}`, 'There are plain, scram-sha-256 and scram-sha-512.');
    return known;
  });
  if (mechanisms.length === 0) throw optionError('security.sasl.mechanisms', 'is empty', 'Name at least one of plain, scram-sha-256 and scram-sha-512.');
  const users = sasl.users ?? {};
  for (const [name, password] of Object.entries(users))
    if (name === '' || typeof password !== 'string' || password === '')
      throw optionError(
        'security.sasl.users',
        `has a user (${name === '' ? 'without a name' : name}) without a password`,
        'Give each user a name and a password.',
      );
  if (Object.keys(users).length === 0 && !mechanisms.some((one) => one.startsWith('SCRAM')))
    throw optionError('security.sasl.users', 'is empty', 'With plain alone nobody could log in: add a user with a password.');
  const iterations = sasl.iterations ?? ITERATIONS_MIN;
  if (!Number.isInteger(iterations) || iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
    throw optionError('security.sasl.iterations', `is ${iterations}`, `Use a whole number from ${ITERATIONS_MIN} to ${ITERATIONS_MAX}.`);
  const sessionMs = sasl.sessionMs ?? 0;
  if (!Number.isSafeInteger(sessionMs) || sessionMs < 0)
    throw optionError('security.sasl.sessionMs', `is ${sessionMs}`, 'Use a whole number of ms, or 0 for no limit.');
  return { mechanisms, users, iterations, sessionMs };
}

function fillAuthorization({ superUsers = [], allowIfNoRule = false, rules = [] }: AuthorizationOptions): FilledAuthorization {
  for (const principal of superUsers)
    if (!/^[A-Za-z]+:.+$/s.test(principal)) throw optionError('security.authorization.superUsers', `has "${principal}"`, 'Write User:name.');
  return { superUsers, allowIfNoRule, rules: rules.map(fillRule) };
}

function fillRule(option: AccessRuleOption, index: number): AccessRule {
  const where = `security.authorization.rules[${index}]`;
  const { resourceType, operation, pattern = 'literal', permission = 'allow', principal, host = EVERY_HOST } = option;
  const word = <T extends object>(table: T, field: string, value: unknown): void => {
    if (!isKey(table, value)) throw optionError(`${where}.${field}`, `is ${String(value)}`, `Use one of ${Object.keys(table).join(', ')}.`);
  };
  word(RESOURCE_TYPES, 'resourceType', resourceType);
  word(OPERATIONS, 'operation', operation);
  word(PATTERN_TYPES, 'pattern', pattern);
  word(PERMISSIONS, 'permission', permission);
  const name = option.name ?? (resourceType === 'cluster' ? CLUSTER_NAME : '');
  const rule: AccessRule = { resourceType, name, pattern, principal: String(principal), host, operation, permission };
  const fault = ruleFault(rule);
  if (fault !== undefined) throw optionError(where, 'makes no sense', fault);
  return rule;
}

function optionError(option: string, what: string, fix: string): MillraceError {
  return new MillraceError('ERR_OPTION', `The broker's option ${option} ${what}. ${fix}`, { option });
}
