// Topic metadata on disk: one small file per topic, replaced whole, so that a crash leaves a topic as it was or as it was to be.
// Layout: `topics/<uuid>/topic.json` and `topics/<uuid>/<partition>/`. A topic exists exactly while its file does: creation writes the file
// last, deletion removes it first; directories without one are swept at the next start.
// Owns: format and order of these writes.  Never: keeps topics in memory.
import { type Disk, MillraceError } from '@millrace/core';

const VERSION = 1;
const FILE = 'topic.json';

export interface TopicRecord {
  readonly name: string;
  /** UUID in text form; names the directory. */
  readonly uuid: string;
  readonly partitions: number;
  /** What was set; defaults are not written down. */
  readonly config: Readonly<Record<string, string>>;
}

export class TopicFiles {
  readonly #disk: Disk;
  readonly #root: string;

  constructor(disk: Disk, dataDir: string) {
    this.#disk = disk;
    this.#root = disk.join(dataDir, 'topics');
    if (disk.exists(this.#root)) return;
    disk.makeDirectory(this.#root);
    disk.syncDirectory(dataDir);
  }

  partitionDirectory(uuid: string, partition: number): string {
    return this.#disk.join(this.#root, uuid, String(partition));
  }

  /** All topics; sweeps what a crash left of deleted or half-made ones. Throws ERR_DATA_DIR for a file that cannot be read. */
  readAll(): TopicRecord[] {
    const records: TopicRecord[] = [];
    for (const entry of this.#disk.list(this.#root)) {
      if (!entry.directory) continue;
      const path = this.#disk.join(this.#root, entry.name, FILE);
      if (this.#disk.exists(path)) records.push(parseTopic(path, this.#disk.readWhole(path), entry.name));
      else this.#disk.remove(this.#disk.join(this.#root, entry.name));
    }
    return records;
  }

  /** Makes the directories of the partitions [from, to), durably: a record that names partitions must not outlive them. */
  makePartitions(uuid: string, from: number, to: number): void {
    const directory = this.#disk.join(this.#root, uuid);
    const isNew = !this.#disk.exists(directory);
    for (let partition = from; partition < to; partition++) this.#disk.makeDirectory(this.partitionDirectory(uuid, partition));
    this.#disk.syncDirectory(directory);
    if (isNew) this.#disk.syncDirectory(this.#root);
  }

  /** The topic exists, as the record says, when this returns. Its directories are there. */
  write(record: TopicRecord): void {
    const directory = this.#disk.join(this.#root, record.uuid);
    const { name, partitions, config } = record;
    this.#disk.replaceWhole(this.#disk.join(directory, FILE), Buffer.from(`${JSON.stringify({ version: VERSION, name, partitions, config }, null, 2)}\n`));
  }

  /** The topic no longer exists when this returns; when it throws, it is as it was. `sweep` follows. */
  forget(uuid: string): void {
    this.#disk.remove(this.#disk.join(this.#root, uuid, FILE));
  }

  /** Brings the end of a topic to the device, and takes its data away: as far as the disk lets it, the rest goes at the next start. */
  sweep(uuid: string): void {
    const directory = this.#disk.join(this.#root, uuid);
    if (!this.#disk.exists(directory)) return;
    this.#disk.syncDirectory(directory);
    this.#disk.remove(directory);
  }
}

function parseTopic(path: string, bytes: Uint8Array, uuid: string): TopicRecord {
  try {
    const parsed = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<TopicRecord> & { readonly version?: number };
    if (parsed.version === VERSION && typeof parsed.name === 'string' && Number.isInteger(parsed.partitions) && typeof parsed.config === 'object')
      return { name: parsed.name, uuid, partitions: parsed.partitions as number, config: parsed.config };
  } catch {
    // not JSON: said below
  }
  throw new MillraceError(
    'ERR_DATA_DIR',
    `The broker's data directory is damaged: ${path} is no topic description of version ${VERSION}. Restore the file from a backup, or remove its folder to give the topic up.`,
    { file: path },
  );
}
