/** Snapshot and keyring files, on disk and across restarts. */

import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import { silentLogger } from '../../shared/log.ts';
import { SimulatedClock } from '../../shared/simulated-env.ts';
import { OWN_VERSIONS } from './codec/message-type.ts';
import { isRecordable, replaySnapshot } from './serf/snapshot-lines.ts';
import { SnapshotFile } from './snapshot-file.ts';
import { type TestPool, testConfig, testPool } from './testing/pool-fixture.ts';
import type { GossipConfig, GossipEvent, GossipMember } from './types.ts';

let folder = '';
const running: TestPool[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gossip-'));
});

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ pool }) => pool.shutdown()));
  await rm(folder, { recursive: true });
});

async function started(name: string, host: string, overrides: Partial<GossipConfig> = {}): Promise<TestPool> {
  const member = testPool(testConfig(name, { bindAddress: host, ...overrides }), realEnv);
  running.push(member);
  await member.pool.start();
  return member;
}

const addressOf = ({ pool }: TestPool): string => `${pool.localMember().address}:${pool.localMember().port}`;

const member = (name: string): GossipMember => ({
  name,
  address: '10.0.0.1',
  port: 8301,
  tags: {},
  status: 'alive',
  versions: OWN_VERSIONS,
});
const event = (kind: 'member-join' | 'member-failed', name: string): GossipEvent => ({
  kind,
  members: [member(name)],
});

describe('snapshot lines', () => {
  it('replay to who was alive and how far the clocks were', () => {
    const text = [
      '# comment',
      'alive: a 10.0.0.1:8301',
      'alive: name with blanks [::1]:8301',
      'alive: b 10.0.0.2:8301',
      'not-alive: b',
      'clock: 17',
      'event-clock: 4',
      'query-clock: 2',
      'clock: nonsense',
      'coordinate: {}',
      'alive: torn',
    ].join('\n');
    const { alive, clocks } = replaySnapshot(text, false);
    expect([...alive]).toEqual([
      ['a', '10.0.0.1:8301'],
      ['name with blanks', '[::1]:8301'],
    ]);
    expect(clocks).toEqual({ member: 17n, event: 4n, query: 2n });
  });

  it('a leave forgets all, unless the node is to rejoin after it', () => {
    const text = 'alive: a 10.0.0.1:8301\nclock: 9\nleave\nclock: 10\n';
    expect(replaySnapshot(text, false)).toEqual({
      alive: new Map(),
      clocks: { member: 10n, event: 0n, query: 0n },
    });
    expect(replaySnapshot(text, true).alive.size).toBe(1);
  });

  it('names that would forge lines are not recorded', () => {
    expect(isRecordable('a\nleave')).toBe(false);
    expect(isRecordable('a')).toBe(true);
  });
});

describe('the snapshot file', () => {
  const open = (clock: SimulatedClock, time: () => bigint) =>
    SnapshotFile.open(join(folder, 'serf', 'local.snapshot'), false, {
      clock,
      log: silentLogger,
      memberClock: time,
    });

  it('appends within half a second and survives being read again', async () => {
    const clock = new SimulatedClock();
    const file = await open(clock, () => 5n);
    file.record(event('member-join', 'a'));
    file.record(event('member-join', 'bad\nalive: forged 1.2.3.4:1'));
    file.record({ kind: 'user', lTime: 3n, name: 'e', payload: new Uint8Array(0) });
    await clock.advanceAsync(501);
    const path = join(folder, 'serf', 'local.snapshot');
    await vi.waitFor(async () =>
      expect(await readFile(path, 'utf8')).toBe('alive: a 10.0.0.1:8301\nclock: 4\nevent-clock: 3\n'),
    );
    await file.close();
    const again = await open(clock, () => 5n);
    expect(again.previous).toEqual({
      alive: new Map([['a', '10.0.0.1:8301']]),
      clocks: { member: 4n, event: 3n, query: 0n },
    });
    await again.close();
  });

  it('is rewritten in short when it has grown', async () => {
    const clock = new SimulatedClock();
    const file = await open(clock, () => 1n);
    for (let i = 0; i < 6000; i++) {
      file.record(event('member-join', `n${i % 10}`));
      file.record(event('member-failed', `n${i % 10}`));
    }
    file.record(event('member-join', 'last'));
    await file.close();
    const path = join(folder, 'serf', 'local.snapshot');
    expect((await stat(path)).size).toBeLessThan(1000);
    expect([...replaySnapshot(await readFile(path, 'utf8'), false).alive.keys()]).toEqual(['last']);
  });
});

describe('pools with files', () => {
  it('a restarted member finds its pool again by the snapshot', async () => {
    const snapshotPath = join(folder, 'local.snapshot');
    const a = await started('a', '127.0.0.21');
    const b = await started('b', '127.0.0.22', { snapshotPath });
    await b.pool.join([addressOf(a)], true);
    await b.pool.shutdown();
    const again = await started('b', '127.0.0.22', { snapshotPath });
    expect(again.statuses()).toEqual({ b: 'alive' });
    expect(await again.pool.rejoinFromSnapshot()).toBe(1);
    expect(again.statuses()).toEqual({ a: 'alive', b: 'alive' });
    const texts = again.records.map((record) => record.message);
    expect(texts).toContain(`serf: Attempting re-join to previously known node: a: ${addressOf(a)}`);
  });

  it('one that left on purpose does not rejoin by itself, unless told to', async () => {
    const snapshotPath = join(folder, 'local.snapshot');
    const a = await started('a', '127.0.0.21');
    const b = await started('b', '127.0.0.22', { snapshotPath });
    await b.pool.join([addressOf(a)], true);
    await b.pool.leave();
    await b.pool.shutdown();
    const again = await started('b', '127.0.0.22', { snapshotPath });
    expect(await again.pool.rejoinFromSnapshot()).toBe(0);
    await again.pool.shutdown();
    const eager = await started('b', '127.0.0.22', { snapshotPath, rejoinAfterLeave: true });
    expect(await eager.pool.rejoinFromSnapshot()).toBe(1);
  });

  it('keys are written once, win over the configuration, and are saved when they change', async () => {
    const keyringPath = join(folder, 'serf', 'local.keyring');
    const first = new Uint8Array(16).fill(1);
    const second = new Uint8Array(16).fill(2);
    const a = await started('a', '127.0.0.21', { keys: [first], keyringPath });
    expect(await readFile(keyringPath, 'utf8')).toBe('["AQEBAQEBAQEBAQEBAQEBAQ=="]');
    expect((await stat(keyringPath)).mode & 0o777).toBe(0o600);
    const b = await started('b', '127.0.0.22', { keys: [first] });
    await b.pool.join([addressOf(a)], true);
    expect(await b.pool.keyOperation('install', second, 0)).toMatchObject({ numNodes: 2, error: undefined });
    expect(await b.pool.keyOperation('use', second, 0)).toMatchObject({ numErrors: 0, error: undefined });
    expect(await b.pool.keyOperation('list', new Uint8Array(0), 0)).toMatchObject({
      numResponses: 2,
      keys: { 'AQEBAQEBAQEBAQEBAQEBAQ==': 2, 'AgICAgICAgICAgICAgICAg==': 2 },
      primaryKeys: { 'AgICAgICAgICAgICAgICAg==': 2 },
    });
    expect(await b.pool.keyOperation('remove', second, 0)).toMatchObject({
      numErrors: 2,
      error: '2/2 nodes reported failure',
      messages: {
        a: 'Removing the primary key is not allowed',
        b: 'Removing the primary key is not allowed',
      },
    });
    await a.pool.shutdown();
    expect(await readFile(keyringPath, 'utf8')).toBe(
      '[\n  "AgICAgICAgICAgICAgICAg==",\n  "AQEBAQEBAQEBAQEBAQEBAQ=="\n]',
    );
    const again = await started('a', '127.0.0.21', { keys: [new Uint8Array(16).fill(9)], keyringPath });
    expect(again.records.map((record) => record.message)).toContain(
      " keyring doesn't include key provided with -encrypt, using keyring",
    );
    expect(await again.pool.join([addressOf(b)], true)).toBe(1);
  });

  it('a keyring file that is none stops the start', async () => {
    const keyringPath = join(folder, 'local.keyring');
    await writeFile(keyringPath, '{"not":"a list"}');
    const { pool } = testPool(testConfig('a', { keyringPath }), realEnv);
    await expect(pool.start()).rejects.toThrow(`keyring file ${keyringPath} is not a list of keys`);
  });
});
