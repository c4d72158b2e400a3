// The decoders of text: logins and patterns from clients, and the small files that a start reads.
import { MillraceError, memoryDisk, seededChance } from '@millrace/core';
import { readBrokerConfig } from '../../packages/broker/src/config/read-config.ts';
import { openDataDir } from '../../packages/broker/src/data-dir.ts';
import { compilePattern } from '../../packages/broker/src/group/consumer/topic-pattern.ts';
import { readPlainToken } from '../../packages/broker/src/security/plain-token.ts';
import { credentialFromSalted } from '../../packages/broker/src/security/scram/credential.ts';
import { ScramExchange } from '../../packages/broker/src/security/scram/exchange.ts';
import { StoredSecurityFile } from '../../packages/broker/src/security/stored-security.ts';
import { TopicFiles } from '../../packages/broker/src/topics/topic-files.ts';
import { readCorpus } from './corpus.ts';
import type { Decoder } from './runner.ts';

const text = (...lines: string[]): Buffer[] => lines.map((line) => Buffer.from(line));

// ---- logins: both messages of SCRAM with a line end between, or PLAIN's one ---------------------------------------------

const NONCE = 'rOprNGfwEbeRWgbNEkqO';
const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
const PROOF = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';
const credential = credentialFromSalted('SCRAM-SHA-256', Buffer.alloc(24, 1), Buffer.alloc(32, 2), 4096);

function runLogin(bytes: Buffer): string | undefined {
  const end = bytes.indexOf(10);
  const [first, final] = end < 0 ? [bytes, Buffer.alloc(0)] : [bytes.subarray(0, end), bytes.subarray(end + 1)];
  const plain = readPlainToken(bytes) !== undefined;
  const exchange = new ScramExchange('SCRAM-SHA-256', () => ({ credential, exists: true }), SERVER_NONCE);
  const began = exchange.step(first).kind;
  const ended = exchange.step(final).kind;
  if (ended === 'done') throw new Error('a login without the password');
  return plain || began === 'continue' ? undefined : `${began} ${ended}`;
}

// ---- patterns ---------------------------------------------------------------------------------------------------------------

const NAMES = ['orders-1', 'a'.repeat(249), ''];

function runPattern(bytes: Buffer): string | undefined {
  const matches = compilePattern(bytes.toString('utf8'));
  if (matches === undefined) return 'no pattern';
  for (const name of NAMES) matches(name);
  return undefined;
}

// ---- small files: which one, then its content -----------------------------------------------------------------------------------

const DATA = '/data';
const UUID = '0123456789abcdefghijkl';
type Reading = { readonly file: string; readonly sound: Buffer; read(disk: ReturnType<typeof memoryDisk>): unknown };

const wrote = (write: (disk: ReturnType<typeof memoryDisk>) => void, file: string): Buffer => {
  const disk = memoryDisk();
  disk.makeDirectory(DATA);
  write(disk);
  return Buffer.from(disk.readWhole(file));
};
const chance = seededChance(1);
const openAndLeave = (disk: ReturnType<typeof memoryDisk>): void => openDataDir(disk, DATA, chance).release();
const format = wrote(openAndLeave, `${DATA}/format`);
const topicJson = `${DATA}/topics/${UUID}/topic.json`;

const READINGS: readonly Reading[] = [
  {
    file: topicJson,
    sound: wrote((disk) => {
      const files = new TopicFiles(disk, DATA);
      files.makePartitions(UUID, 0, 2);
      files.write({ name: 't', uuid: UUID, partitions: 2, config: { 'retention.ms': '5' } });
    }, topicJson),
    read: (disk) => new TopicFiles(disk, DATA).readAll(),
  },
  { file: `${DATA}/meta.json`, sound: wrote(openAndLeave, `${DATA}/meta.json`), read: (disk) => openAndLeave(disk) },
  { file: `${DATA}/format`, sound: format, read: (disk) => openAndLeave(disk) },
  {
    file: `${DATA}/security.json`,
    sound: wrote((disk) => {
      const rule = {
        ...{ principal: 'User:a', host: '*', operation: 'read', permission: 'allow' },
        ...{ resourceType: 'topic', name: 't', pattern: 'literal' },
      } as const;
      new StoredSecurityFile(disk, DATA, chance).update({ rules: [rule], credentials: [{ ...credential, user: 'a', mechanism: 'SCRAM-SHA-256' }] });
    }, `${DATA}/security.json`),
    read: (disk) => new StoredSecurityFile(disk, DATA, chance),
  },
  {
    file: `${DATA}/broker.conf`,
    sound: Buffer.from('port=1\nsecurity.sasl.users.a.b=c\nsecurity.authorization.rules.0.principal=User:a\n'),
    read: (disk) => readBrokerConfig(Buffer.from(disk.readWhole(`${DATA}/broker.conf`)).toString('utf8'), 'broker.conf'),
  },
];

function runFile(bytes: Buffer): string | undefined {
  const { file, read } = READINGS[(bytes[0] ?? 0) % READINGS.length] as Reading;
  const disk = memoryDisk();
  disk.makeDirectory(`${DATA}/topics/${UUID}`);
  disk.replaceWhole(`${DATA}/format`, format);
  disk.replaceWhole(file, bytes.subarray(1));
  try {
    read(disk);
    return undefined;
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    return file; // its words quote the file: each would look like something new
  }
}

export const TEXT_DECODERS: readonly Decoder[] = [
  {
    name: 'logins',
    seeds: () => [
      ...text(`n,,n=user,r=${NONCE}\nc=biws,r=${NONCE}${SERVER_NONCE},p=${PROOF}`, `y,a=a=2Cb,n=a=2Cb,r=${NONCE}\nc=eSws,r=${NONCE},x=y,p=${PROOF}`),
      ...text('\0user\0secret', 'user\0user\0secret'),
      ...readCorpus('logins'),
    ],
    run: runLogin,
    allocationMax: 65_536,
    inputMax: 20_000,
  },
  {
    name: 'patterns',
    seeds: () => [...text('orders-.*', '(a|b)+?[^0-9\\d]{2,5}$', '(?:(a*)*)*b', '[[:alpha:]]\\pL\\Qx\\E'), ...readCorpus('patterns')],
    run: runPattern,
    allocationMax: 65_536,
    inputMax: 1_200,
  },
  {
    name: 'settings-files',
    seeds: () => [...READINGS.map(({ sound }, at) => Buffer.concat([Buffer.from([at]), sound])), ...readCorpus('settings-files')],
    run: runFile,
    allocationMax: 65_536,
    shortRun: 500,
  },
];
