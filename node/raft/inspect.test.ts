/** The offline look at a raft directory comes to the same start as opening it. */

import { describe, expect, it } from 'vitest';
import { encodePeers } from './core/configuration.ts';
import { asIndex, asNodeId, asTerm, type LogEntry } from './core/entry.ts';
import { inspectRaft } from './inspect.ts';
import { soundnessOf } from './inspect-report.ts';
import { createSnapshotStore } from './snapshots/snapshot-store.ts';
import type { Disk } from './wal/disk.ts';
import { createMemoryDisk } from './wal/memory-disk.ts';
import type { WalItem } from './wal/record.ts';
import { restoreState } from './wal/restore.ts';
import { Wal } from './wal/wal.ts';

const peersAt = (port: number) => [{ id: asNodeId('a'), address: `h:${port}`, isVoter: true }];

const command = (index: number, term: number): LogEntry => ({
  index: asIndex(index),
  term: asTerm(term),
  kind: 'command',
  data: new Uint8Array([index]),
});
const configuration = (index: number, term: number): LogEntry => ({
  index: asIndex(index),
  term: asTerm(term),
  kind: 'configuration',
  data: encodePeers(peersAt(index)),
});
const range = (first: number, last: number, term: number): WalItem => ({
  kind: 'entries',
  entries: Array.from({ length: last - first + 1 }, (_, i) => command(first + i, term)),
});
const entries = (...list: LogEntry[]): WalItem => ({ kind: 'entries', entries: list });
const reset = (index: number, term: number): WalItem => ({
  kind: 'reset',
  index: asIndex(index),
  term: asTerm(term),
});

const snapshotsOf = (disk: Disk) =>
  createSnapshotStore({ disk, directory: 'raft/snapshots', nowMs: () => 1, retain: 3 });

async function write(
  items: readonly WalItem[],
  snapshots: readonly (readonly [index: number, term: number])[],
): Promise<Disk> {
  const disk = createMemoryDisk();
  const wal = new Wal({ disk, directory: 'raft' });
  await wal.load();
  for (const item of items) await wal.append([item]);
  await wal.close();
  for (const [index, term] of snapshots) {
    const sink = await snapshotsOf(disk).create({
      index: asIndex(index),
      term: asTerm(term),
      peers: peersAt(1),
      configurationIndex: asIndex(1),
    });
    await sink.write(new TextEncoder().encode(`state at ${index}`));
    await sink.finish();
  }
  return disk;
}

async function look(disk: Disk) {
  const checkState = async (chunks: AsyncIterable<Uint8Array>) => {
    let bytes = 0;
    for await (const chunk of chunks) bytes += chunk.length;
    return `${bytes} bytes`;
  };
  const { files, outline } = await inspectRaft({ disk, directory: 'raft', checkState });
  return {
    outline,
    defects: files.flatMap(({ defects, path }) => defects.map((defect) => ({ path, ...defect }))),
  };
}

/** What opening puts together of the same files. */
async function restored(disk: Disk) {
  const stored = await new Wal({ disk, directory: 'raft' }).load();
  return restoreState(stored, (await snapshotsOf(disk).list())[0]?.meta);
}

const vote: WalItem = { kind: 'hard-state', hardState: { term: asTerm(3), vote: asNodeId('a') } };
const commit = (index: number): WalItem => ({ kind: 'commit', index: asIndex(index) });

describe('inspectRaft', () => {
  it.each<[string, WalItem[], [number, number][]]>([
    ['nothing', [], []],
    ['a vote alone', [vote], []],
    ['a log alone', [vote, entries(configuration(1, 1)), range(2, 6, 1), commit(5)], []],
    ['a log that covers the snapshot', [entries(configuration(1, 1)), range(2, 6, 1)], [[4, 1]]],
    ['a log that begins right after the snapshot', [range(5, 8, 2), commit(7)], [[4, 1]]],
    ['a log that begins before the end of the snapshot', [range(3, 8, 2)], [[4, 2]]],
    ['a snapshot alone', [], [[4, 1]]],
    ['a snapshot that replaced the log', [range(1, 2, 1), reset(4, 2), range(5, 6, 2)], [[4, 2]]],
    ['a snapshot that replaced the log, nothing after it', [range(1, 2, 1), reset(4, 2)], [[4, 2]]],
    ['a snapshot whose reset did not reach the disk', [range(1, 3, 1)], [[9, 2]]],
    ['a snapshot of another term than the log has there', [range(1, 6, 1)], [[4, 2]]],
    [
      'two snapshots',
      [range(1, 9, 1)],
      [
        [4, 1],
        [7, 1],
      ],
    ],
    ['a newer configuration', [range(1, 3, 1), entries(configuration(4, 2)), range(5, 6, 2)], [[2, 1]]],
    [
      'a recovery by an operator',
      [
        entries(configuration(1, 1)),
        range(2, 5, 1),
        { kind: 'recovery', configuration: { index: asIndex(5), peers: peersAt(55) } },
        range(6, 6, 2),
      ],
      [],
    ],
    [
      'a configuration after a recovery',
      [
        range(1, 5, 1),
        { kind: 'recovery', configuration: { index: asIndex(5), peers: peersAt(55) } },
        entries(configuration(6, 2)),
      ],
      [],
    ],
  ])('%s', async (_, items, snapshots) => {
    const disk = await write(items, snapshots);
    const { defects, outline } = await look(disk);
    const { commitIndex, configurations, hardState, log } = await restored(disk);
    expect(defects).toEqual([]);
    expect(outline).toMatchObject({
      hardState,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      commitIndex,
      configuration: configurations.current,
    });
  });

  it('takes the older snapshot when the newest is damaged', async () => {
    const disk = await write(
      [range(1, 9, 1)],
      [
        [4, 1],
        [7, 1],
      ],
    );
    const newest = (await snapshotsOf(disk).list())[0]?.path ?? '';
    await disk.remove(`${newest}/meta.json`);
    const { defects, outline } = await look(disk);
    expect(defects).toMatchObject([{ path: `${newest}/meta.json`, severity: 'damaged', what: 'is missing' }]);
    expect([outline.snapshot?.meta.index, outline.lastIndex]).toEqual([4, 9]);
  });

  it('says when entries are missing between snapshot and log', async () => {
    const { defects } = await look(await write([range(7, 9, 1)], [[4, 1]]));
    expect(soundnessOf(defects)).toBe('damaged');
    expect(defects[0]?.what).toContain('raft log begins at entry 7, but the newest sound snapshot ends at 4');
  });
});
