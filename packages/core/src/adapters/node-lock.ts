// A lock file that outlives a crash of its owner by not a moment.
// The file names its owner; it appears with its content in one step (a hard link). A dead owner's lock is taken over by claiming
// the *token* in it: `<path>.<token>` can be created once, so of two takers one wins, and whoever finds the lock changed gives way.
// L1 the owner is whoever the last link of the chain path → claim → claim names.  L2 a claim is removed only after `path` names its maker.

import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { DiskLock } from '../disk.ts';
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';

interface Owner extends ProcessIdentity {
  readonly token: string;
}

/** Crashed takers in a row before we stop following and report a live owner: a lock directory never gets there by itself. */
const CHAIN_MAX = 64;

/** Undefined when a live process, this one included, holds the lock. */
export function takeLock(given: string): DiskLock | undefined {
  const path = resolve(given);
  const mine: Owner = { ...ownIdentity(), token: randomBytes(8).toString('hex') };
  const temporary = `${path}.${mine.token}.new`;
  writeFileSync(temporary, JSON.stringify(mine), { flag: 'wx' });
  try {
    if (!linked(temporary, path) && !takeOver(path, temporary)) return undefined;
  } finally {
    rmSync(temporary, { force: true });
  }
  return {
    path: given,
    release() {
      if (tokenOf(readOwner(path)) === mine.token) rmSync(path, { force: true });
    },
  };
}

function takeOver(path: string, temporary: string): boolean {
  const chain: { readonly file: string; readonly token: string }[] = [];
  let file = path;
  while (chain.length < CHAIN_MAX) {
    const owner = readOwner(file);
    if (owner === 'gone') return chain.length === 0 && linked(temporary, path); // released just now, or someone else was quicker
    if (owner !== undefined && isAlive(owner)) return false;
    const token = owner?.token ?? 'unreadable';
    chain.push({ file, token });
    file = `${path}.${token}`;
    if (!linked(temporary, file)) continue; // someone claimed it before: is that one alive?
    const unchanged = chain.every((link) => tokenOf(readOwner(link.file)) === link.token);
    if (unchanged) renameSync(copyOf(temporary), path);
    if (unchanged) for (const link of chain.slice(1)) rmSync(link.file, { force: true });
    rmSync(file, { force: true });
    return unchanged;
  }
  return false;
}

/** A second name of the same content, to be renamed over the lock. */
function copyOf(temporary: string): string {
  const copy = `${temporary}2`;
  linkSync(temporary, copy);
  return copy;
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function tokenOf(owner: Owner | 'gone' | undefined): string {
  return owner === 'gone' ? '' : (owner?.token ?? 'unreadable');
}

/** Undefined: a file that no lock of ours wrote (damaged by hand or by a disk): nobody's. */
function readOwner(path: string): Owner | 'gone' | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone';
    throw error;
  }
  try {
    const owner = JSON.parse(text) as Owner;
    return typeof owner.pid === 'number' && typeof owner.token === 'string' && /^[0-9a-f]{16}$/.test(owner.token) ? owner : undefined;
  } catch {
    return undefined;
  }
}
