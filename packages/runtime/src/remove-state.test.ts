import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk, seededChance } from '@millrace/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeState, stateFolders } from './remove-state.ts';
import { openStateDirectory } from './state-directory.ts';

let stateDir = '';
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-remove-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const open = (instanceId: string) => openStateDirectory({ stateDir, applicationId: 'app', instanceId }, nodeDisk, seededChance(1));

test('folders of all instances go; what other applications keep stays; nothing there is fine', () => {
  for (const id of ['one', 'two']) {
    const directory = open(id);
    nodeDisk.makeDirectory(directory.taskPath('0_0'));
    directory.release();
  }
  nodeDisk.makeDirectory(join(stateDir, 'other'));
  expect(stateFolders(stateDir, 'app', nodeDisk)).toHaveLength(2);
  removeState(stateDir, 'app', nodeDisk);
  expect(nodeDisk.list(stateDir).map(({ name }) => name)).toEqual(['other']);
  removeState(stateDir, 'app', nodeDisk);
  expect(stateFolders(stateDir, 'app', nodeDisk)).toEqual([]);
});

test('while an instance runs on one of them, all stay as they are', () => {
  const [idle, running] = [open('one'), open('two')];
  nodeDisk.makeDirectory(idle.taskPath('0_0'));
  idle.release();
  expect(() => removeState(stateDir, 'app', nodeDisk)).toThrow(/running on .*two/);
  expect(nodeDisk.exists(idle.taskPath('0_0'))).toBe(true);
  running.release();
});
