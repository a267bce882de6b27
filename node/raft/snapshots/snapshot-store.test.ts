/** Snapshots on disk: kept, replaced, checked. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import { asIndex, asNodeId, asTerm, type SnapshotMeta } from '../core/entry.ts';
import type { Disk } from '../wal/disk.ts';
import { createMemoryDisk } from '../wal/memory-disk.ts';
import { createNodeDisk } from '../wal/node-disk.ts';
import { SimulatedDisk } from '../wal/simulated-disk.ts';
import {
  createSnapshotStore,
  SnapshotDamagedError,
  type SnapshotStore,
  type StoredSnapshot,
} from './snapshot-store.ts';

const meta = (index: number): SnapshotMeta => ({
  index: asIndex(index),
  term: asTerm(2),
  peers: [{ id: asNodeId('a'), address: 'h:1', isVoter: true }],
  configurationIndex: asIndex(1),
});

async function save(store: SnapshotStore, index: number, text: string): Promise<StoredSnapshot> {
  const sink = await store.create(meta(index));
  for (const part of text.match(/.{1,3}/gs) ?? []) await sink.write(new TextEncoder().encode(part));
  return sink.finish();
}

async function textOf(store: SnapshotStore, snapshot: StoredSnapshot): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of store.read(snapshot)) parts.push(part);
  return Buffer.concat(parts).toString();
}

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raft-snapshots-'));
});
afterAll(() => rm(directory, { recursive: true }));

const disks: readonly (readonly [string, () => Disk])[] = [
  ['the real disk', createNodeDisk],
  ['the disk in memory', createMemoryDisk],
  ['the simulated disk', () => new SimulatedDisk(simulatedEnv(1)).connect()],
];

describe.each(disks)('on %s', (name, make) => {
  const open = (): SnapshotStore =>
    createSnapshotStore({ disk: make(), directory: join(directory, name), nowMs: () => 1000 });

  it('keeps the two newest under term, index and time, and gives back what was written', async () => {
    const store = open();
    for (const index of [3, 5, 9]) await save(store, index, `state at ${index}`);
    const found = await store.list();
    expect(found.map((snapshot) => snapshot.meta)).toEqual([meta(9), meta(5)]);
    expect(found[0]?.path).toMatch(/\/2-9-\d+$/);
    expect(await textOf(store, found[0] as StoredSnapshot)).toBe('state at 9');
    expect(Buffer.from(await store.readAt(found[0] as StoredSnapshot, 6, 2)).toString()).toBe('at');
  });

  it('keeps two of the same index apart, written at the same time', async () => {
    const store = open();
    const [a, b] = await Promise.all([store.create(meta(20)), store.create(meta(20))]);
    await a.write(new Uint8Array([1]));
    await b.write(new Uint8Array([1]));
    await a.abort();
    const kept = await b.finish();
    expect((await store.list())[0]).toEqual(kept);
    expect(await textOf(store, kept)).toBe('\u0001');
  });
});

describe('damage', () => {
  async function stored(): Promise<{ disk: SimulatedDisk; store: SnapshotStore; path: string }> {
    const disk = new SimulatedDisk(simulatedEnv(1));
    const store = createSnapshotStore({ disk: disk.connect(), directory: 's', nowMs: () => 1000 });
    await save(store, 3, 'older state');
    const { path } = await save(store, 5, 'some state');
    return { disk, store, path };
  }

  it('of the description hides the snapshot, so that the one before serves', async () => {
    const { disk, store, path } = await stored();
    const description = new TextDecoder().decode(disk.contents(`${path}/meta.json`));
    disk.plant(
      `${path}/meta.json`,
      new TextEncoder().encode(description.replace('"Index": 5', '"Index": 6')),
    );
    expect((await store.list()).map((snapshot) => snapshot.meta.index)).toEqual([3]);
    disk.plant(`${path}/meta.json`, new TextEncoder().encode('{'));
    expect((await store.list()).length).toBe(1);
  });

  it('of the state is found when it is read', async () => {
    const { disk, store, path } = await stored();
    const [snapshot] = await store.list();
    disk.plant(`${path}/state.bin`, new TextEncoder().encode('some stale'));
    await expect(textOf(store, snapshot as StoredSnapshot)).rejects.toThrow(SnapshotDamagedError);
    disk.plant(`${path}/state.bin`, new TextEncoder().encode('some'));
    await expect(textOf(store, snapshot as StoredSnapshot)).rejects.toThrow(`${path} is damaged: ends at 4`);
  });

  it('by a crash half way leaves the older ones, and nothing else after a clean-up', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const disk = new SimulatedDisk(simulatedEnv(seed));
      await save(
        createSnapshotStore({ disk: disk.connect(), directory: 's', nowMs: () => 1000 }),
        3,
        'older',
      );
      const store = createSnapshotStore({ disk: disk.connect(), directory: 's', nowMs: () => 1000 });
      const sink = await store.create(meta(5));
      await sink.write(new Uint8Array(2000));
      if (seed % 2 === 0) void sink.finish();
      disk.crash();
      const after = createSnapshotStore({ disk: disk.connect(), directory: 's', nowMs: () => 1000 });
      await after.cleanUp();
      expect((await after.list()).map((snapshot) => snapshot.meta.index as number)).toContain(3);
      expect(disk.paths().filter((path) => path.includes('.tmp'))).toEqual([]);
    }
  });
});
