/** Real damage to real files: every bit of a server's log and snapshot, and each of the agent's own files. */

import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeServerData } from '../testing/data-dir.ts';
import { checkStorage, NoDataDirectoryError } from './storage-check.ts';

let root = '';
let pristine = '';
let dataDir = '';
let count = 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'proconsul-storage-'));
  pristine = join(root, 'pristine');
  await writeServerData(pristine);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  dataDir = join(root, `copy${count++}`);
  cpSync(pristine, dataDir, { recursive: true });
});

function flipBit(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (offset % 8));
  writeFileSync(path, bytes);
}

/** Content of every file, to show that nothing was touched. */
function fingerprint(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { mtimeMs } = statSync(path);
      return [path, `${mtimeMs} ${createHash('md5').update(readFileSync(path)).digest('hex')}`];
    }),
  );
}

async function defects() {
  const { files, soundness } = await checkStorage({ dataDir });
  const found = files.flatMap((file) => file.defects.map((defect) => ({ path: file.path, ...defect })));
  return { soundness, found };
}

const segments = (): string[] =>
  readdirSync(join(dataDir, 'raft'))
    .filter((name) => name.endsWith('.wal'))
    .sort();
const snapshot = (): string => `raft/snapshots/${readdirSync(join(dataDir, 'raft', 'snapshots'))[0]}`;

describe('a sound directory', () => {
  it('has a line for every file, with what it holds', async () => {
    const before = fingerprint(dataDir);
    const { files, isInUse, soundness } = await checkStorage({ dataDir });
    expect([soundness, isInUse]).toEqual(['sound', false]);
    expect(
      files.map(({ detail, kind, path }) => `${path.replace(/[0-9a-f]{16,}/, '…')}: ${kind}: ${detail}`),
    ).toEqual([
      'checks/…: check: check alive',
      'checks/state/…: check state: check alive',
      'node-id: node id: adf4238a-882b-9ddc-4a9d-5b6758e4159e',
      'raft/log-….wal: raft log segment: 3 batches, entries 1 to 3',
      'raft/log-….wal: raft log segment: 6 batches, entries 4 to 9',
      'raft/log-….wal: raft log segment: 3 batches, entries 10 to 12',
      'raft/snapshots/1-5-1000/meta.json: raft snapshot description: index 5, term 1, 3 servers',
      'raft/snapshots/1-5-1000/state.bin: raft snapshot state: indexes 1, kv 4',
      'serf/local.keyring: gossip keys: 1 keys',
      'serf/local.snapshot: gossip snapshot: 4 lines',
      'services/…: service: service web',
    ]);
    expect(fingerprint(dataDir)).toEqual(before);
  });

  it('tells how far it is', async () => {
    const seen: number[] = [];
    let total = 0;
    await checkStorage({
      dataDir,
      onProgress(readBytes, totalBytes) {
        seen.push(readBytes);
        total = totalBytes;
      },
    });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBeLessThanOrEqual(total);
    expect(seen.at(-1)).toBeGreaterThan(total * 0.7);
  });

  it('may be a client, which has no log', async () => {
    rmSync(join(dataDir, 'raft'), { recursive: true });
    expect((await defects()).soundness).toBe('sound');
  });

  it('names files that it does not know', async () => {
    writeFileSync(join(dataDir, 'notes.txt'), 'x');
    const { files } = await checkStorage({ dataDir });
    expect(files.find(({ path }) => path === 'notes.txt')).toMatchObject({
      kind: 'unknown file, not checked',
      defects: [],
    });
  });
});

describe('what a crash leaves behind is repairable', () => {
  it('a torn tail', async () => {
    const path = `raft/${segments().at(-1)}`;
    truncateSync(join(dataDir, path), statSync(join(dataDir, path)).size - 4);
    const { found, soundness } = await defects();
    expect(soundness).toBe('repairable');
    expect(found).toMatchObject([
      { path, severity: 'repairable', what: expect.stringContaining('torn tail of') },
    ]);
  });

  it('files that were being written', async () => {
    writeFileSync(join(dataDir, 'services', 'abc.tmp'), '{"Serv');
    mkdirSync(join(dataDir, 'raft/snapshots/2-9-2000.tmp'));
    writeFileSync(join(dataDir, 'raft/snapshots/2-9-2000.tmp/state.bin'), 'half');
    writeFileSync(join(dataDir, 'serf/local.snapshot'), 'alive: s1 10.0.0.1:8301\nclo');
    const { found, soundness } = await defects();
    expect(soundness).toBe('repairable');
    expect(found.map(({ offset, path }) => [path, offset])).toEqual([
      ['raft/snapshots/2-9-2000.tmp', undefined],
      ['serf/local.snapshot', 24],
      ['services/abc.tmp', undefined],
    ]);
  });
});

describe('damage', () => {
  it('is found at every bit of the snapshot', async () => {
    for (const name of ['meta.json', 'state.bin']) {
      const path = join(dataDir, snapshot(), name);
      const size = statSync(path).size;
      for (let offset = 0; offset < size; offset += 7) {
        flipBit(path, offset);
        const { found, soundness } = await defects();
        expect(soundness, `${name} at ${offset}`).toBe('damaged');
        expect(found[0]?.path).toBe(`${snapshot()}/${name}`);
        flipBit(path, offset);
      }
    }
    expect((await defects()).soundness).toBe('sound');
  });

  it('a snapshot cut short, or without its description', async () => {
    const path = join(dataDir, snapshot(), 'state.bin');
    truncateSync(path, statSync(path).size - 1);
    expect((await defects()).found[0]?.what).toContain('is damaged: ');
    rmSync(join(dataDir, snapshot(), 'meta.json'));
    expect((await defects()).found).toMatchObject([{ path: `${snapshot()}/meta.json`, what: 'is missing' }]);
  });

  it('of the log says file and offset', async () => {
    const path = `raft/${segments()[1]}`;
    flipBit(join(dataDir, path), 40);
    expect((await defects()).found).toMatchObject([{ path, severity: 'damaged', offset: 24 }]);
  });

  it('a missing middle segment, and swapped ones', async () => {
    const [first = '', second = '', third = ''] = segments().map((name) => join(dataDir, 'raft', name));
    renameSync(second, `${dataDir}/aside`);
    expect((await defects()).found).toMatchObject([{ what: 'segment 2 before it is missing' }]);
    renameSync(first, second);
    renameSync(`${dataDir}/aside`, first);
    expect((await defects()).found.map(({ what }) => what)).toEqual([
      'is segment 2 by its header',
      'is segment 1 by its header',
    ]);
    rmSync(third);
  });

  it('the first segments missing: the log begins after the snapshot ends', async () => {
    for (const name of segments().slice(0, 2)) rmSync(join(dataDir, 'raft', name));
    const { found, soundness } = await defects();
    expect(soundness).toBe('damaged');
    expect(found).toMatchObject([
      {
        path: 'raft',
        what: expect.stringContaining('begins at entry 10, but the newest sound snapshot ends at 5'),
      },
    ]);
  });

  it('a strange version of each format', async () => {
    const meta = join(dataDir, snapshot(), 'meta.json');
    writeFileSync(meta, readFileSync(meta, 'utf8').replace('"Version": 1', '"Version": 2'));
    expect((await defects()).soundness).toBe('damaged');
  });

  it.each([
    ['node-id', 'adf4238a'],
    ['serf/local.keyring', '["c2hvcnQ="]'],
    ['serf/local.keyring', '[]'],
    ['serf/local.keyring', '{'],
    ['services/c3a8c8cf1dc0f9a4d3b0b8b7a9b9a0aa', '{"Service":{"ID":""}}'],
    ['checks/c3a8c8cf1dc0f9a4d3b0b8b7a9b9a0aa', '\0\0\0\0'],
    ['raft/peers.json', '[{"id":"x"}]'],
  ])('%s holding %j', async (path, content) => {
    writeFileSync(join(dataDir, path), content);
    const { found, soundness } = await defects();
    expect(soundness).toBe('damaged');
    expect(found.map((defect) => defect.path)).toEqual([path]);
  });
});

describe('nothing to check', () => {
  it('is an error: no directory, a file, an empty directory', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    const empty = join(root, 'empty');
    mkdirSync(empty);
    await expect(checkStorage({ dataDir: join(root, 'nowhere') })).rejects.toThrow(
      'Error getting info on data_dir',
    );
    await expect(checkStorage({ dataDir: file })).rejects.toThrow(`data_dir "${file}" is not a directory`);
    await expect(checkStorage({ dataDir: empty })).rejects.toThrow(NoDataDirectoryError);
  });
});
