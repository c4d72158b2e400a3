// How the files of a partition are called. The same names as Kafka's, so that people find their way.
// `<base>.log` batches · `<base>.index` what can be rebuilt from them · `<offset>.snapshot` producers and epochs as of that offset ·
// `<base>.<end>.cleaned` output of a compaction under way · `<base>.<end>.swap` finished output that replaces [base, end) · `state` two slots.
// Owns: the names.  Never: touches a disk.

export const PARTITION_STATE_FILE = 'state';

const twenty = (offset: number): string => String(offset).padStart(20, '0');

export const logFileName = (baseOffset: number): string => `${twenty(baseOffset)}.log`;
export const indexFileName = (baseOffset: number): string => `${twenty(baseOffset)}.index`;
export const snapshotFileName = (offset: number): string => `${twenty(offset)}.snapshot`;
export const cleanedFileName = (baseOffset: number, endOffset: number): string => `${twenty(baseOffset)}.${twenty(endOffset)}.cleaned`;
export const swapFileName = (baseOffset: number, endOffset: number): string => `${twenty(baseOffset)}.${twenty(endOffset)}.swap`;

export type LogFile =
  | { readonly kind: 'log' | 'index' | 'snapshot'; readonly offset: number }
  | { readonly kind: 'cleaned' | 'swap'; readonly offset: number; readonly endOffset: number };

const SIMPLE = /^(\d{20})\.(log|index|snapshot)$/;
const RANGE = /^(\d{20})\.(\d{20})\.(cleaned|swap)$/;

/** What a file of a partition's directory is; undefined for one that is not ours. */
export function parseFileName(name: string): LogFile | undefined {
  const simple = SIMPLE.exec(name);
  if (simple !== null) return { kind: simple[2] as 'log' | 'index' | 'snapshot', offset: Number(simple[1]) };
  const range = RANGE.exec(name);
  if (range !== null) return { kind: range[3] as 'cleaned' | 'swap', offset: Number(range[1]), endOffset: Number(range[2]) };
  return undefined;
}
