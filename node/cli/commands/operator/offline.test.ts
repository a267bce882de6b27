/** `operator storage check` and `operator raft recover` on real data directories: what they print, exit with and write. */

import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { realEnv } from '../../../../shared/env.ts';
import { lockDataDir } from '../../../agent/data-dir-lock.ts';
import { SERVER_IDS, SERVERS, writeServerData } from '../../../agent/testing/data-dir.ts';
import { runCli } from '../../testing/run-cli.ts';

let root = '';
let dataDir = '';
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'proconsul-offline-'));
  dataDir = join(root, 'data');
  await writeServerData(dataDir);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const recover = (...args: string[]) =>
  runCli(['operator', 'raft', 'recover', `-data-dir=${dataDir}`, ...args]);
const check = (...args: string[]) => runCli(['operator', 'storage', 'check', ...args]);
const peersFile = () => join(dataDir, 'raft', 'peers.json');

async function segment(at: number): Promise<string> {
  const names = (await readdir(join(dataDir, 'raft'))).filter((name) => name.endsWith('.wal')).sort();
  return join(dataDir, 'raft', names.at(at) ?? '');
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe('storage check', () => {
  test('exits 0 and has a line per file when all is sound', async () => {
    const { code, err, out } = await check(`-data-dir=${dataDir}`);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^File +Bytes +Status +Kind +Holds\n/);
    expect(out).toMatch(/^node-id +36 +sound +node id +adf4238a/m);
    expect(out.endsWith(`\n${dataDir}: sound\n`)).toBe(true);
  });

  test('exits 1 for what the next start repairs', async () => {
    const path = await segment(-1);
    truncateSync(path, statSync(path).size - 1);
    const { code, out } = await check(`-data-dir=${dataDir}`);
    expect(code).toBe(1);
    expect(out).toMatch(/^raft\/log-0+3\.wal: repairable at offset \d+: torn tail of \d+ bytes/m);
    expect(out).toContain('nothing that was acknowledged is lost');
  });

  test('exits 2 for damage, and says where and what to do', async () => {
    flip(await segment(0), 50);
    const { code, out } = await check(`-data-dir=${dataDir}`);
    expect(code).toBe(2);
    expect(out).toMatch(/^raft\/log-0+1\.wal: damaged at offset 24: checksum does not match/m);
    expect(out).toContain(`${dataDir}: DAMAGED`);
    expect(out).toContain('directory and the node-id file of this server away');
  });

  test('-format=json carries the same for programs', async () => {
    flip(await segment(0), 50);
    const { code, out } = await check(`-data-dir=${dataDir}`, '-format=json');
    expect(code).toBe(2);
    const report = JSON.parse(out) as { Files: { Status: string }[] };
    expect(report).toMatchObject({ Path: dataDir, Status: 'damaged', InUse: false });
    expect(report.Files.find(({ Status }) => Status === 'damaged')).toMatchObject({
      Path: 'raft/log-0000000000000001.wal',
      Kind: 'raft log segment',
      Defects: [{ Status: 'damaged', Offset: 24, What: expect.stringContaining('checksum') }],
    });
  });

  test('mentions an agent that has the directory', async () => {
    const lock = await lockDataDir(dataDir, realEnv);
    const { code, out } = await check(`-data-dir=${dataDir}`);
    expect(code).toBe(0);
    expect(out).toContain('A running agent uses this directory');
    await lock.release();
  });

  test.each([
    [[], 'Must give a data directory with -data-dir\n'],
    [['-data-dir=x', '-format=xml'], 'Invalid format "xml": must be "pretty" or "json"\n'],
    [['-data-dir=/dev/null'], 'Error checking storage: data_dir "/dev/null" is not a directory\n'],
  ])('%j is refused with exit code 2', async (args, err) => {
    expect(await check(...args)).toEqual({ code: 2, out: '', err });
  });
});

describe('raft recover', () => {
  test('a dry run tells indexes, old and new membership, and writes nothing', async () => {
    const { code, err, out } = await recover('--dry-run');
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe(`Data directory:        ${dataDir}
Server:                ${SERVER_IDS[0]}
Last index:            12
Last term:             1
Committed at least to: 11
Snapshot:              index 5, term 1

Membership found, of index 1:
ID                                    Address        Voter
${SERVER_IDS[0]}  10.0.0.1:8300  true
${SERVER_IDS[1]}  10.0.0.2:8300  true
${SERVER_IDS[2]}  10.0.0.3:8300  true

Membership after the next start:
ID                                    Address        Voter
${SERVER_IDS[0]}  10.0.0.1:8300  true

Dropped: server ${SERVER_IDS[1]} at 10.0.0.2:8300. It must not come back with its old data.
Dropped: server ${SERVER_IDS[2]} at 10.0.0.3:8300. It must not come back with its old data.
Kept: everything up to index 12; its last entry, not known to be committed, will be.

Dry run: nothing was changed.
`);
    expect(existsSync(peersFile())).toBe(false);
  });

  test('writes a peers.json for this server alone, and peers.info beside it', async () => {
    const { code, out } = await recover('-address=10.9.9.9:8300');
    expect(code).toBe(0);
    expect(out).toContain(
      `Wrote ${peersFile()}: the server takes it up at its next start and deletes it. Start it now.`,
    );
    expect(JSON.parse(readFileSync(peersFile(), 'utf8'))).toEqual([
      { id: SERVER_IDS[0], address: '10.9.9.9:8300', non_voter: false },
    ]);
    expect(existsSync(join(dataDir, 'raft', 'peers.info'))).toBe(true);
    expect(await check(`-data-dir=${dataDir}`)).toMatchObject({ code: 0 });
  });

  test('takes a peers.json for several survivors, old form and new members included', async () => {
    const path = join(root, 'peers.json');
    writeFileSync(path, JSON.stringify([SERVERS[0]?.address, SERVERS[2]?.address]));
    const addresses = await recover(`-peers=${path}`);
    expect(addresses.code).toBe(0);
    expect(addresses.out).toContain('Do the same on the other servers named above, then start them all.');
    expect(JSON.parse(readFileSync(peersFile(), 'utf8'))).toHaveLength(2);

    const stranger = { id: 'stranger', address: '10.0.0.9:8300', non_voter: true };
    writeFileSync(path, JSON.stringify([{ id: SERVER_IDS[0], address: '10.0.0.1:8300' }, stranger]));
    const added = await recover(`-peers=${path}`);
    expect(added.out).toContain('Added: server stranger at 10.0.0.9:8300.');
    expect(JSON.parse(readFileSync(peersFile(), 'utf8'))).toContainEqual(stranger);
  });

  test('refuses while an agent uses the directory', async () => {
    const lock = await lockDataDir(dataDir, realEnv);
    expect(await recover()).toEqual({
      code: 1,
      out: '',
      err: `Error recovering: data_dir "${dataDir}" is in use by another agent\n`,
    });
    await lock.release();
  });

  test('refuses a damaged log with the place and the next step', async () => {
    flip(await segment(1), 50);
    const { code, err } = await recover();
    expect(code).toBe(1);
    expect(err).toMatch(/log-0+2\.wal: damaged at offset 24: checksum does not match/);
    expect(err).toContain('Nothing was changed. Recover from another survivor');
    expect(existsSync(peersFile())).toBe(false);
  });

  test('goes through with a torn tail, and says so', async () => {
    const path = await segment(-1);
    truncateSync(path, statSync(path).size - 1);
    const { code, out } = await recover('-dry-run');
    expect(code).toBe(0);
    expect(out).toContain('Last index:            11\n');
    expect(out).toMatch(/log-0+3\.wal: repairable at offset \d+: torn tail/);
  });

  test.each([
    [['-peers=x', '-id=y'], 'cannot give both -peers and -id or -address'],
    [['-id=stranger'], 'the log knows no address of server stranger: give -address=host:port'],
    [['-id=stranger', '-address=h:1'], `it does not name this server, ${SERVER_IDS[0]}`],
  ])('%j is refused', async (args, text) => {
    const { code, err } = await recover(...args);
    expect(code).toBe(1);
    expect(err).toContain(text);
    expect(existsSync(peersFile())).toBe(false);
  });

  test('refuses a server that has no state at all', async () => {
    rmSync(join(dataDir, 'raft'), { recursive: true });
    expect((await recover()).err).toContain('give -address=host:port');
    expect((await recover('-address=h:1')).err).toContain('refused to recover cluster with no initial state');
  });

  test('needs a data directory', async () => {
    expect(await runCli(['operator', 'raft', 'recover'])).toEqual({
      code: 1,
      out: '',
      err: 'Error recovering: must give the data directory with -data-dir\n',
    });
  });
});

test('both are completed and have a help', async () => {
  const complete = async (line: string) => (await runCli([], { env: { COMP_LINE: line } })).out.split('\n');
  expect(await complete('proconsul operator raft rec')).toContain('recover');
  expect(await complete('proconsul operator storage ')).toContain('check');
  expect(await complete('proconsul operator raft recover -d')).toEqual(['-data-dir', '-dry-run', '']);
  expect((await runCli(['operator', 'storage', 'check', '--help'])).out).toContain(
    'Exits 0 when all is sound',
  );
});
