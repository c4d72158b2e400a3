// Small disks of their own for the state and for the embedded broker's log, and what can be done to them: filled, freed, made read-only.
// Needs Linux and root (a tmpfs is mounted); `whyNoDisks` says what is missing.  Owns: the mounts, which go with `close`.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const SIZE_MIB = 512;
const BALLAST = 'ballast';

/** Why disk faults cannot be tried here; undefined: they can. */
export function whyNoDisks() {
  if (process.platform !== 'linux') return 'tmpfs is Linux only';
  if (process.getuid?.() !== 0) return 'mounting a tmpfs needs root';
  return undefined;
}

/** Why failing system calls cannot be tried here. */
export function whyNoStrace() {
  return spawnSync('strace', ['-V']).status === 0 ? undefined : 'strace is missing';
}

function mount(...args) {
  const done = spawnSync('mount', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`mount ${args.join(' ')}: ${done.stderr.trim()}`);
}

export function openDisk(path) {
  mkdirSync(path, { recursive: true });
  mount('-t', 'tmpfs', '-o', `size=${SIZE_MIB}m`, 'millrace-torture', path);
  const ballast = join(path, BALLAST);
  return {
    path,
    /** Until not one more page fits. */
    fill() {
      const file = openSync(ballast, 'a');
      try {
        for (const size of [1 << 20, 4096]) {
          const zeros = Buffer.alloc(size);
          try {
            for (;;) writeSync(file, zeros);
          } catch (error) {
            if (error.code !== 'ENOSPC') throw error;
          }
        }
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(ballast, { force: true }),
    readOnly: (on) => mount('-o', `remount,${on ? 'ro' : 'rw'}`, path),
    close: () => void spawnSync('umount', ['-l', path]),
  };
}
