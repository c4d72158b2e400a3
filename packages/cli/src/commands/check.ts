// millrace check: what an edit of a topology does to its state, from the topology as it is and millrace.lock.json as it was agreed to.
import { checkLock, explainLock, isDangerous, LOCK_FILE, updateLock } from '@millrace/topology';
import { type CliDeps, type Command, DONE, FAILED, readOptions, UsageError } from '../command.ts';
import { topologiesOf } from '../topology-module.ts';

export const checkCommand: Command = {
  name: 'check',
  summary: 'say what an edit of a topology does to its state',
  help: `Example: millrace check dist/orders.js

Compares the topologies that a module exports with ${LOCK_FILE}, and explains each difference that state depends on.
Exit code 1 if state or records would be lost or misread, or if the lock file does not know the topology.

  --lock FILE   the lock file (default ${LOCK_FILE} in the current folder)
  --update      accept what is there now: write it to the lock file
  --json        one JSON line per topology`,
  async run(args, deps) {
    const flags = new Set<string>(args.filter((arg) => arg === '--update' || arg === '--json'));
    const [path, ...rest] = args.filter((arg) => !flags.has(arg));
    if (path === undefined || path.startsWith('--')) throw new UsageError('Say which module: millrace check MODULE.');
    const lockPath = readOptions(rest, ['lock']).lock ?? LOCK_FILE;
    const topologies = await topologiesOf(path, deps);
    let text = readText(lockPath, deps);
    let refused = false;
    for (const topology of topologies) {
      const report = checkLock(topology, text);
      deps.printLine(flags.has('--json') ? JSON.stringify(report) : explainLock(report));
      refused ||= report.state === 'unlocked' || isDangerous(report);
      if (flags.has('--update')) text = updateLock(topology, text);
    }
    if (!flags.has('--update')) return refused ? FAILED : DONE;
    deps.ports.disk.replaceWhole(lockPath, Buffer.from(text ?? ''));
    if (!flags.has('--json')) deps.printLine(`${lockPath} is written. Commit it.`);
    return DONE;
  },
};

function readText(path: string, { ports: { disk } }: CliDeps): string | undefined {
  return disk.exists(path) ? Buffer.from(disk.readWhole(path)).toString('utf8') : undefined;
}
