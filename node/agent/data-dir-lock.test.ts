/** One agent per data directory: while the holder lives and not a moment longer. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import { DataDirInUseError, isInUse, lockDataDir } from './data-dir-lock.ts';

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'proconsul-lock-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

/** Another process that holds the directory until it is killed. */
async function holder(directory: string) {
  const module = new URL('./data-dir-lock.ts', import.meta.url).href;
  const environment = new URL('../../shared/env.ts', import.meta.url).href;
  const program = `
    const { lockDataDir } = await import(${JSON.stringify(module)});
    const { realEnv } = await import(${JSON.stringify(environment)});
    await lockDataDir(${JSON.stringify(directory)}, realEnv);
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('is refused to the second, and free again after the release', async () => {
  const first = await lockDataDir(dataDir, realEnv);
  expect(await isInUse(dataDir)).toBe(true);
  await expect(lockDataDir(dataDir, realEnv)).rejects.toThrow(DataDirInUseError);
  await expect(lockDataDir(dataDir, realEnv)).rejects.toThrow(
    `data_dir "${dataDir}" is in use by another agent`,
  );
  await first.release();
  expect(await isInUse(dataDir)).toBe(false);
  expect(readdirSync(dataDir)).toEqual([]);
  await (await lockDataDir(dataDir, realEnv)).release();
});

test('is free at once when its holder was killed', async () => {
  const child = await holder(dataDir);
  expect(await isInUse(dataDir)).toBe(true);
  await expect(lockDataDir(dataDir, realEnv)).rejects.toThrow(DataDirInUseError);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await isInUse(dataDir)).toBe(false);
  expect(readdirSync(dataDir)).toHaveLength(1);
  const next = await lockDataDir(dataDir, realEnv);
  expect(await isInUse(dataDir)).toBe(true);
  await next.release();
});

test('of many who find a left-over, one gets it', async () => {
  const child = await holder(dataDir);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataDir(dataDir, realEnv)));
  const winners = results.filter((result) => result.status === 'fulfilled');
  expect(winners).toHaveLength(1);
  for (const result of results)
    if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(DataDirInUseError);
  await winners[0]?.value.release();
});

test.runIf(process.platform === 'linux')(
  'works in directories whose path no socket address could hold',
  async () => {
    const deep = join(dataDir, 'd'.repeat(100), 'e'.repeat(100));
    mkdirSync(deep, { recursive: true });
    const first = await lockDataDir(deep, realEnv);
    expect(await isInUse(deep)).toBe(true);
    await expect(lockDataDir(deep, realEnv)).rejects.toThrow(DataDirInUseError);
    await first.release();
    expect(await isInUse(deep)).toBe(false);
  },
);
