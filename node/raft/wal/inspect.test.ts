/** The offline look at a log agrees with what opening it would do, whatever happened to its bytes. */

import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import { encodePeers } from '../core/configuration.ts';
import { asIndex, asNodeId, asTerm, type EntryKind, type LogEntry } from '../core/entry.ts';
import { type Soundness, soundnessOf } from '../inspect-report.ts';
import type { Disk } from './disk.ts';
import { inspectLog } from './inspect.ts';
import { LogOutline } from './log-outline.ts';
import { createMemoryDisk } from './memory-disk.ts';
import type { WalItem } from './record.ts';
import { Replay } from './replay.ts';
import { Wal } from './wal.ts';

type Files = ReadonlyMap<string, Uint8Array>;

const peers = [{ id: asNodeId('a'), address: '127.0.0.1:1', isVoter: true }];

function entry(index: number, term: number, kind: EntryKind = 'command'): LogEntry {
  const data = kind === 'configuration' ? encodePeers(peers) : new TextEncoder().encode(`command ${index}`);
  return { index: asIndex(index), term: asTerm(term), kind, data };
}

const entries = (...list: LogEntry[]): WalItem => ({ kind: 'entries', entries: list });
const vote = (term: number): WalItem => ({
  kind: 'hard-state',
  hardState: { term: asTerm(term), vote: asNodeId('a') },
});

async function diskOf(files: Files): Promise<Disk> {
  const disk = createMemoryDisk();
  for (const [path, bytes] of files) {
    const file = await disk.create(path);
    await file.append(bytes);
  }
  return disk;
}

/** Five batches; three segments of one or two each unless they may be larger. */
async function writeLog(segmentBytes = 150): Promise<Files> {
  const disk = createMemoryDisk();
  const wal = new Wal({ disk, directory: 'raft', segmentBytes });
  await wal.load();
  await wal.append([vote(1), entries(entry(1, 1, 'configuration'), entry(2, 1))]);
  await wal.append([entries(entry(3, 1), entry(4, 1)), { kind: 'commit', index: asIndex(3) }]);
  await wal.append([vote(2), entries(entry(4, 2), entry(5, 2))]);
  await wal.append([entries(entry(6, 2))]);
  await wal.append([entries(entry(7, 2)), { kind: 'commit', index: asIndex(6) }]);
  await wal.close();
  const files = new Map<string, Uint8Array>();
  for (const name of await disk.list('raft'))
    files.set(`raft/${name}`, (await disk.read(`raft/${name}`)) ?? new Uint8Array());
  return files;
}

async function inspected(files: Files) {
  const { segments, outline } = await inspectLog(await diskOf(files), 'raft');
  const defects = segments.flatMap((file) => file.defects.map((defect) => ({ path: file.path, ...defect })));
  return { soundness: soundnessOf(defects), defects, outline };
}

/** What opening the log makes of it: it cuts what is torn and refuses what is damaged. */
async function opened(files: Files): Promise<Soundness> {
  const disk = await diskOf(files);
  try {
    await new Wal({ disk, directory: 'raft', segmentBytes: 150 }).load();
  } catch {
    return 'damaged';
  }
  for (const [path, bytes] of files)
    if ((await disk.read(path))?.length !== bytes.length) return 'repairable';
  return 'sound';
}

function changed(files: Files, path: string, change: (bytes: Uint8Array) => Uint8Array): Files {
  return new Map(
    [...files].map(([name, bytes]) => [name, name === path ? change(Uint8Array.from(bytes)) : bytes]),
  );
}

const flip = (offset: number, bit: number) => (bytes: Uint8Array) => {
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
  return bytes;
};

describe('an undamaged log', () => {
  it('is sound, and outlined as it is loaded', async () => {
    const files = await writeLog();
    expect(files.size).toBe(3);
    const { defects, outline } = await inspected(files);
    expect(defects).toEqual([]);
    expect({
      ...outline,
      first: outline.firstIndex,
      last: outline.lastIndex,
      term: outline.lastTerm,
    }).toMatchObject({ first: 1, last: 7, term: 2, hardState: { term: 2, vote: 'a' } });
    expect([outline.commitIndex, outline.configurations]).toEqual([6, [{ index: 1, peers }]]);
    expect([3, 4, 7, 8].map((index) => outline.termAt(index))).toEqual([1, 2, 2, undefined]);
  });

  it('says of each segment what it holds', async () => {
    const { segments } = await inspectLog(await diskOf(await writeLog()), 'raft');
    expect(segments.map(({ detail }) => detail)).toEqual([
      '1 batches, entries 1 to 2',
      '2 batches, entries 3 to 5',
      '2 batches, entries 6 to 7',
    ]);
  });

  it('may be empty, or not be there', async () => {
    expect((await inspected(new Map())).soundness).toBe('sound');
  });
});

describe('damage', () => {
  it('is told like opening the log would, at every bit of every segment', async () => {
    const files = await writeLog();
    const seen = new Set<Soundness>();
    for (const [path, bytes] of files) {
      for (let offset = 0; offset < bytes.length; offset++) {
        const damaged = changed(files, path, flip(offset, offset % 8));
        const { soundness, defects } = await inspected(damaged);
        expect(soundness, `${path} at ${offset}`).toBe(await opened(damaged));
        expect(soundness, `${path} at ${offset}`).not.toBe('sound');
        expect(defects[0]?.path).toBe(path);
        expect(defects[0]?.offset).toBeLessThanOrEqual(offset);
        seen.add(soundness);
      }
    }
    // The bytes were all there: nothing that a crash leaves behind looks like this.
    expect([...seen]).toEqual(['damaged']);
  });

  it('a file cut short is torn at the end of the log and damaged before it, at every length', async () => {
    const files = await writeLog();
    const paths = [...files.keys()];
    for (const [path, bytes] of files) {
      for (let length = 0; length < bytes.length; length++) {
        const cut = changed(files, path, (whole) => whole.subarray(0, length));
        const { soundness } = await inspected(cut);
        expect(soundness, `${path} cut to ${length}`).toBe(await opened(cut));
        if (path !== paths.at(-1) && length < 24) expect(soundness).toBe('damaged');
      }
    }
    const newest = paths[2] ?? '';
    const torn = await inspected(changed(files, newest, (whole) => whole.subarray(0, whole.length - 3)));
    expect(torn.defects).toMatchObject([
      { severity: 'repairable', what: expect.stringMatching(/^torn tail of/) },
    ]);
    expect(torn.outline.lastIndex).toBe(6);
  });

  it('names a missing middle segment, swapped segments and a strange version', async () => {
    const files = await writeLog();
    const [first = '', second = '', third = ''] = files.keys();
    const without = new Map([...files].filter(([path]) => path !== second));
    expect((await inspected(without)).defects).toMatchObject([
      { path: third, severity: 'damaged', offset: 0, what: 'segment 2 before it is missing' },
    ]);
    const swapped = new Map(files);
    swapped.set(first, files.get(second) ?? new Uint8Array());
    swapped.set(second, files.get(first) ?? new Uint8Array());
    expect((await inspected(swapped)).defects).toMatchObject([
      { path: first, what: 'is segment 2 by its header' },
      { path: second, what: 'is segment 1 by its header' },
    ]);
    const foreign = changed(files, first, () => new TextEncoder().encode('#!/bin/sh\necho this is no log\n'));
    expect((await inspected(foreign)).defects).toMatchObject([{ path: first, what: 'not a raft log file' }]);
  });

  it('lists every broken batch, not only the first', async () => {
    const files = await writeLog(10_000);
    const [path = ''] = files.keys();
    const length = files.get(path)?.length ?? 0;
    const { defects } = await inspected(
      changed(changed(files, path, flip(60, 0)), path, flip(length - 5, 0)),
    );
    expect(defects).toEqual([
      {
        path,
        severity: 'damaged',
        offset: 24,
        what: expect.stringMatching(/^checksum does not match \(\d+ bytes\)$/),
      },
      { path, severity: 'damaged', offset: expect.any(Number), what: expect.stringMatching(/^checksum/) },
    ]);
    expect(defects[1]?.offset).toBeGreaterThan(60);
  });
});

describe('LogOutline', () => {
  it('comes to the same as the replay of the entries themselves, for any sequence of items', () => {
    const { random } = simulatedEnv(7);
    const below = (limit: number) => Math.floor(random.next() * limit);
    for (let run = 0; run < 400; run++) {
      const replay = new Replay();
      const outline = new LogOutline();
      for (let step = 0; step < 12; step++) {
        const item = anyItem(below, outline);
        const failures = [replay, outline].map((each) => failureOf(() => each.add(item)));
        expect(failures[1]).toBe(failures[0]);
        if (failures[0] !== undefined) break;
        const stored = replay.finish();
        expect(outline.lastIndex).toBe(stored.entries.at(-1)?.index ?? stored.reset?.index ?? 0);
        expect(outline.firstIndex).toBe(stored.entries[0]?.index ?? 0);
        expect(outline.commitIndex).toBe(stored.commitIndex);
        expect(outline.hardState).toEqual(stored.hardState);
        expect(outline.recovery).toEqual(stored.recovery);
        expect(outline.reset).toEqual(stored.reset);
        for (const { index, term } of stored.entries) expect(outline.termAt(index)).toBe(term);
        expect(outline.configurations.map(({ index }) => index)).toEqual(
          stored.entries.filter(({ kind }) => kind === 'configuration').map(({ index }) => index),
        );
      }
    }
  });
});

function anyItem(below: (limit: number) => number, outline: LogOutline): WalItem {
  const term = outline.hardState.term + below(3) - (below(20) === 0 ? 1 : 0);
  switch (below(8)) {
    case 0:
      return vote(Math.max(0, term));
    case 1:
      return { kind: 'commit', index: asIndex(below(outline.lastIndex + 3)) };
    case 2:
      return { kind: 'reset', index: asIndex(outline.lastIndex + below(4)), term: asTerm(outline.lastTerm) };
    case 3:
      return { kind: 'recovery', configuration: { index: asIndex(below(outline.lastIndex + 1)), peers } };
    default: {
      const first = Math.max(1, outline.lastIndex + 1 - below(4) + (below(20) === 0 ? 1 : 0));
      const newTerm = outline.lastTerm + below(2);
      const kind = below(3) === 0 ? 'configuration' : 'command';
      return entries(...Array.from({ length: below(3) + 1 }, (_, i) => entry(first + i, newTerm, kind)));
    }
  }
}

function failureOf(step: () => void): string | undefined {
  try {
    step();
    return undefined;
  } catch (error) {
    return String(error);
  }
}
