/** The log on disk: what comes back after crashes, and what is said of damage. */

import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import { encodePeers } from '../core/configuration.ts';
import { asIndex, asNodeId, asTerm, type LogEntry } from '../core/entry.ts';
import { encodeFrame, SEGMENT_HEADER_BYTES, type WalItem } from './record.ts';
import { LogGapError, restoreState } from './restore.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { LogDamagedError, Wal } from './wal.ts';

const FIRST = 'raft/log-0000000000000001.wal';

function newDisk(): SimulatedDisk {
  const { clock, random } = simulatedEnv(1);
  return new SimulatedDisk({ clock, random });
}

function open(disk: SimulatedDisk, segmentBytes?: number): Wal {
  const base = { disk: disk.connect(), directory: 'raft' };
  return new Wal(segmentBytes === undefined ? base : { ...base, segmentBytes });
}

function entry(index: number, term: number, text = `command ${index}`): LogEntry {
  return { index: asIndex(index), term: asTerm(term), kind: 'command', data: new TextEncoder().encode(text) };
}

const entries = (...list: LogEntry[]): WalItem => ({ kind: 'entries', entries: list });
const vote = (term: number, id?: string): WalItem => ({
  kind: 'hard-state',
  hardState: { term: asTerm(term), vote: id === undefined ? undefined : asNodeId(id) },
});

async function load(disk: SimulatedDisk, segmentBytes?: number) {
  const wal = open(disk, segmentBytes);
  const stored = await wal.load();
  return { wal, stored, terms: stored.entries.map((each) => `${each.index}/${each.term}`) };
}

/** A log with three batches; returns its file and where each batch begins. */
async function threeBatches(): Promise<{ disk: SimulatedDisk; file: Uint8Array; offsets: number[] }> {
  const disk = newDisk();
  const { wal } = await load(disk);
  const batches: WalItem[][] = [
    [vote(1, 'a'), entries(entry(1, 1), entry(2, 1))],
    [entries(entry(3, 1)), { kind: 'commit', index: asIndex(2) }],
    [vote(2, 'b'), entries(entry(4, 2, 'x'.repeat(1500)))],
  ];
  const offsets: number[] = [];
  for (const batch of batches) {
    offsets.push(disk.contents(FIRST)?.length ?? SEGMENT_HEADER_BYTES);
    await wal.append(batch);
  }
  return { disk, file: disk.contents(FIRST) ?? new Uint8Array(0), offsets };
}

describe('reopening', () => {
  it('gives back term, vote, entries and commit hint', async () => {
    const { disk } = await threeBatches();
    const { stored, terms } = await load(disk);
    expect(terms).toEqual(['1/1', '2/1', '3/1', '4/2']);
    expect(stored.hardState).toEqual({ term: 2, vote: 'b' });
    expect(stored.commitIndex).toBe(2);
    expect(new TextDecoder().decode(stored.entries[2]?.data)).toBe('command 3');
  });

  it('lets later entries replace a suffix, across segments', async () => {
    const disk = newDisk();
    const { wal } = await load(disk, 100);
    await wal.append([vote(1), entries(entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1))]);
    await wal.append([vote(2), entries(entry(3, 2))]);
    await wal.append([entries(entry(4, 2), entry(5, 2))]);
    expect((await load(disk, 100)).terms).toEqual(['1/1', '2/1', '3/2', '4/2', '5/2']);
    expect(disk.paths().length).toBe(2);
  });

  it('goes on appending where it was', async () => {
    const { disk } = await threeBatches();
    const { wal } = await load(disk);
    await wal.append([entries(entry(5, 2))]);
    expect((await load(disk)).terms.at(-1)).toBe('5/2');
    expect(disk.paths()).toEqual([FIRST]);
  });
});

describe('a torn tail', () => {
  it('is cut, wherever in the last batch the crash came', async () => {
    const { file, offsets } = await threeBatches();
    const last = offsets[2] ?? 0;
    for (let size = last; size < file.length; size++) {
      const disk = newDisk();
      disk.plant(FIRST, file.slice(0, size));
      const { wal, stored, terms } = await load(disk);
      expect(terms).toEqual(['1/1', '2/1', '3/1']);
      expect(stored.hardState).toEqual({ term: 1, vote: 'a' });
      expect(disk.contents(FIRST)?.length).toBe(last);
      await wal.append([entries(entry(4, 1))]);
      expect((await load(disk)).terms).toEqual(['1/1', '2/1', '3/1', '4/1']);
    }
  });

  it('is cut when a sector of the last batch was never written', async () => {
    const { file, offsets } = await threeBatches();
    const last = offsets[2] ?? 0;
    const torn = file.slice();
    torn.fill(0, 512, 1024);
    expect(last).toBeLessThan(512);
    const disk = newDisk();
    disk.plant(FIRST, torn);
    expect((await load(disk)).terms).toEqual(['1/1', '2/1', '3/1']);
  });

  it('is a file that was only begun', async () => {
    for (let size = 0; size < SEGMENT_HEADER_BYTES; size++) {
      const { disk, file } = await threeBatches();
      disk.plant('raft/log-0000000000000002.wal', file.slice(0, size));
      expect((await load(disk)).terms.length).toBe(4);
      expect(disk.paths()).toEqual([FIRST]);
    }
  });
});

describe('damage', () => {
  it('is an error that names file and offset, whichever bit of a durable batch flips', async () => {
    const { file, offsets } = await threeBatches();
    const end = offsets[2] ?? 0;
    for (let at = SEGMENT_HEADER_BYTES; at < end; at++) {
      const disk = newDisk();
      const damaged = file.slice();
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      disk.plant(FIRST, damaged);
      const offset = at < (offsets[1] ?? 0) ? offsets[0] : offsets[1];
      await expect(load(disk)).rejects.toThrow(`raft log ${FIRST} is damaged at offset ${offset}: `);
      expect(disk.contents(FIRST)).toEqual(damaged);
    }
  });

  it('is noticed in the last batch, too, when all of it had been written', async () => {
    const { file, offsets } = await threeBatches();
    for (let at = (offsets[2] ?? 0) + 4; at < file.length; at += 7) {
      const disk = newDisk();
      const damaged = file.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      disk.plant(FIRST, damaged);
      await expect(load(disk)).rejects.toThrow(LogDamagedError);
    }
  });

  it('is a header, a format or a segment that should not be', async () => {
    const { file } = await threeBatches();
    const otherVersion = newDisk();
    const changed = file.slice();
    changed[3] = 0;
    otherVersion.plant(FIRST, changed);
    await expect(load(otherVersion)).rejects.toThrow('offset 0: not a raft log file');

    const missing = newDisk();
    missing.plant(FIRST, file);
    missing.plant('raft/log-0000000000000003.wal', file);
    await expect(load(missing)).rejects.toThrow('segment 2 before it is missing');

    const gap = newDisk();
    const hole = Buffer.concat([file, encodeFrame([entries(entry(9, 2))])]);
    gap.plant(FIRST, hole);
    await expect(load(gap)).rejects.toThrow('entry 9 follows entry 4');
  });
});

describe('compaction', () => {
  it('removes whole segments, oldest first, and keeps term and vote', async () => {
    const disk = newDisk();
    const { wal } = await load(disk, 100);
    await wal.append([vote(3, 'c')]);
    for (let i = 1; i <= 10; i++) await wal.append([entries(entry(i, 3))]);
    const before = disk.paths().length;
    await wal.compact(asIndex(6));
    expect(disk.paths().length).toBeLessThan(before);
    const { stored } = await load(disk, 100);
    expect(stored.hardState).toEqual({ term: 3, vote: 'c' });
    expect(stored.entries[0]?.index).toBeLessThanOrEqual(7);
    expect(stored.entries.at(-1)?.index).toBe(10);
  });

  it('never removes the last that speaks of entries', async () => {
    const disk = newDisk();
    const { wal } = await load(disk, 60);
    await wal.append([vote(1, 'a'), entries(entry(1, 1), entry(2, 1))]);
    await wal.append([vote(2, 'b')]);
    await wal.append([vote(3, 'c')]);
    await wal.compact(asIndex(2));
    expect((await load(disk, 60)).terms).toEqual(['1/1', '2/1']);
  });
});

describe('failures', () => {
  it('are passed on, and the log refuses to go on', async () => {
    const disk = newDisk();
    const { wal } = await load(disk);
    await wal.append([vote(1)]);
    disk.failSyncAfter(0);
    await expect(wal.append([vote(2)])).rejects.toThrow('EIO');
    await expect(wal.append([vote(3)])).rejects.toThrow('EIO');
  });

  it('of a full disk leave the log as it was, so that the same can be tried again', async () => {
    const disk = newDisk();
    const { wal } = await load(disk);
    await wal.append([vote(1, 'a')]);
    disk.fillUpAfter(100);
    const items = [vote(2, 'b'), entries(entry(1, 1, 'x'.repeat(200)))];
    await expect(wal.append(items)).rejects.toThrow('ENOSPC');
    await expect(wal.append(items)).rejects.toThrow('ENOSPC');
    expect((await load(disk)).stored.hardState).toEqual({ term: 1, vote: 'a' });
    disk.freeSpace();
    await wal.append(items);
    const { stored, terms } = await load(disk);
    expect([stored.hardState, terms]).toEqual([{ term: 2, vote: 'b' }, ['1/1']]);
  });

  it('of a full disk where a new segment would begin leave no trace of it', async () => {
    const disk = newDisk();
    const { wal } = await load(disk, 60);
    await wal.append([vote(1, 'a'), entries(entry(1, 1, 'x'.repeat(60)))]);
    const before = disk.paths();
    disk.fillUpAfter(10);
    await expect(wal.append([entries(entry(2, 1))])).rejects.toThrow('ENOSPC');
    expect(disk.paths()).toEqual(before);
    disk.freeSpace();
    await wal.append([entries(entry(2, 1))]);
    expect((await load(disk, 60)).terms).toEqual(['1/1', '2/1']);
  });

  it('lose nothing that was synced, over many crashes', async () => {
    const { clock, random } = simulatedEnv(3);
    const disk = new SimulatedDisk({ clock, random });
    let durable = 0;
    for (let life = 0; life < 200; life++) {
      const { wal, stored } = await load(disk, 400);
      const last = stored.entries.at(-1)?.index ?? 0;
      expect(last).toBeGreaterThanOrEqual(durable);
      for (let i = 1; i <= 3; i++) await wal.append([vote(life + 1), entries(entry(last + i, life + 1))]);
      durable = last + 3;
      void wal.append([entries(entry(last + 4, life + 1, 'y'.repeat(700)))]);
      disk.crash();
    }
  });
});

describe('log and snapshot together', () => {
  const peers = [{ id: asNodeId('a'), address: 'h:1', isVoter: true }];
  const snapshot = (index: number, term: number) => ({
    index: asIndex(index),
    term: asTerm(term),
    peers,
    configurationIndex: asIndex(1),
  });

  it('start from the snapshot and keep what trails it', async () => {
    const disk = newDisk();
    const { wal } = await load(disk);
    await wal.append([vote(2), entries(entry(5, 1), entry(6, 2), entry(7, 2))]);
    const { stored } = await load(disk);
    const restored = restoreState(stored, snapshot(6, 2));
    expect([restored.log.baseIndex, restored.log.lastIndex, restored.commitIndex]).toEqual([5, 7, 6]);
    expect(restored.needsReset).toBe(false);
    expect(restored.configurations.current.peers).toEqual(peers);
  });

  it('replace a log that does not lead up to the snapshot', async () => {
    const disk = newDisk();
    const { wal } = await load(disk);
    await wal.append([vote(2), entries(entry(1, 1), entry(2, 1))]);
    const { stored } = await load(disk);
    const restored = restoreState(stored, snapshot(9, 2));
    expect([restored.log.baseIndex, restored.log.lastIndex, restored.needsReset]).toEqual([9, 9, true]);
  });

  it('must not leave a gap', async () => {
    const disk = newDisk();
    const { wal } = await load(disk);
    await wal.append([vote(2), entries(entry(5, 1), entry(6, 2))]);
    const { stored } = await load(disk);
    expect(() => restoreState(stored, snapshot(3, 1))).toThrow(LogGapError);
    expect(() => restoreState(stored, undefined)).toThrow('begins at entry 5');
    expect(() =>
      restoreState({ ...stored, entries: [], reset: { index: asIndex(8), term: asTerm(2) } }, snapshot(3, 1)),
    ).toThrow(LogGapError);
  });

  it('take the membership of an operator over what entries before it say, and entries after it over that', async () => {
    const disk = newDisk();
    const { wal } = await load(disk);
    const configuration = (index: number, id: string): LogEntry => ({
      ...entry(index, 1),
      kind: 'configuration',
      data: encodePeers([{ id: asNodeId(id), address: 'h:1', isVoter: true }]),
    });
    await wal.append([vote(1), entries(configuration(1, 'a'), entry(2, 1))]);
    await wal.append([{ kind: 'recovery', configuration: { index: asIndex(2), peers } }]);
    const current = async () => {
      const restored = restoreState((await load(disk)).stored, undefined);
      return restored.configurations.current;
    };
    expect(await current()).toEqual({ index: 2, peers });
    await wal.append([entries(entry(2, 1), configuration(3, 'z'))]);
    expect((await current()).peers[0]?.id).toBe('z');
  });
});
