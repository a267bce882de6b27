/** What an operator reads when the data directory keeps an agent from starting. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { ensureDataDir, startFailure } from './data-dir.ts';
import { resolveNodeId } from './node-id.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'proconsul-data-dir-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const systemError = (code: string, syscall: string) =>
  Object.assign(new Error(`${code}: text, ${syscall}`), { code, syscall });

test('a missing directory is made, a file in its place is refused in the words of Consul', () => {
  ensureDataDir(join(root, 'a', 'b'));
  expect(readdirSync(root)).toEqual(['a']);
  const file = join(root, 'file');
  writeFileSync(file, '');
  expect(() => ensureDataDir(file)).toThrow(`data_dir "${file}" is not a directory`);
  expect(() => ensureDataDir(join(file, 'below'))).toThrow(`data_dir "${file}/below" is not a directory`);
});

test.each([
  ['ENOSPC', 'its disk is full. Nothing was lost: free some space and start again'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EROFS', 'its file system is read-only'],
  ['EACCES', 'the agent may not write there'],
])('%s is put into words', (code, words) => {
  const { message } = startFailure('/data', systemError(code, 'write'));
  expect(message).toContain(`data_dir "/data" is not usable: ${words}`);
  expect(message).toContain(`(${code}: text, write)`);
});

test('what is not about files is left as it is', () => {
  const port = systemError('EACCES', 'listen');
  expect(startFailure('/data', port)).toBe(port);
  const other = new Error('no quorum');
  expect(startFailure('/data', other)).toBe(other);
  const full = systemError('ENOSPC', 'write');
  expect(startFailure(undefined, full)).toBe(full);
  expect(startFailure('/data', 'text').message).toBe('text');
});

test('a node ID is written whole or not at all', () => {
  const { random } = simulatedEnv(1);
  const id = resolveNodeId(root, '', random);
  expect(readdirSync(root)).toEqual(['node-id']);
  expect(readFileSync(join(root, 'node-id'), 'utf8')).toBe(id);
  expect(resolveNodeId(root, '', random)).toBe(id);
  const other = join(root, 'other');
  mkdirSync(join(other, 'node-id.tmp'), { recursive: true });
  expect(() => resolveNodeId(other, '', random)).toThrow('EISDIR');
  expect(readdirSync(other)).not.toContain('node-id');
});
