/** A majority is lost for ever: the survivors are made a cluster of their own, and new servers join them. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import {
  createServerGroup,
  type GroupServer,
  joinFlags,
  Ledger,
  type ServerGroup,
  startAll,
  startThree,
  untilVoters,
} from './server-group.ts';

const peersFile = (server: GroupServer) => join(server.dataDir, 'raft', 'peers.json');

describe('two of three servers are lost for ever', { timeout: 60_000 }, () => {
  const ledger = new Ledger();
  let group: ServerGroup;
  let survivor: GroupServer;
  let others: GroupServer[];

  beforeAll(async () => {
    group = createServerGroup();
    [survivor, ...others] = await startThree(group);
    await ledger.write(survivor, 20);
    await untilAllHold(ledger, survivor);
    await Promise.all(others.map((server) => server.die()));
  });
  afterAll(() => group?.close());

  test('the survivor alone has no leader, refuses writes, and still tells by stale reads what it knows', async () => {
    await eventually('the leader to be gone', async () => {
      const response = await fetch(`${survivor.url}/v1/kv/x`, { method: 'PUT', body: 'x' });
      return response.status === 500 ? true : undefined;
    });
    const listed = await survivor.cli('operator', 'raft', 'list-peers', '-stale', '-lag');
    expect(listed.code).toBe(0);
    for (const server of [survivor, ...others]) expect(listed.stdout).toContain(server.rpcAddress);
    expect(await ledger.missing(survivor, 'stale')).toEqual([]);
  });

  test('recovery is refused while the survivor runs', async () => {
    const refused = await survivor.cli('operator', 'raft', 'recover', `-data-dir=${survivor.dataDir}`);
    expect(refused).toMatchObject({
      code: 1,
      stderr: `Error recovering: data_dir "${survivor.dataDir}" is in use by another agent\n`,
    });
    expect(existsSync(peersFile(survivor))).toBe(false);
  });

  test('a dry run says what would be, and changes nothing', async () => {
    await survivor.die();
    const check = await survivor.cli('operator', 'storage', 'check', `-data-dir=${survivor.dataDir}`);
    expect(check.code).toBeLessThanOrEqual(1);
    const dry = await survivor.cli(
      'operator',
      'raft',
      'recover',
      `-data-dir=${survivor.dataDir}`,
      '--dry-run',
    );
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    for (const server of others) expect(dry.stdout).toMatch(`at ${server.rpcAddress}. It must not come back`);
    expect(dry.stdout).toContain('Dry run: nothing was changed.');
    expect(existsSync(peersFile(survivor))).toBe(false);
  });

  test('recovered, it leads alone with everything that was acknowledged', async () => {
    const done = await survivor.cli('operator', 'raft', 'recover', `-data-dir=${survivor.dataDir}`);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    const id = readFileSync(join(survivor.dataDir, 'node-id'), 'utf8');
    expect(JSON.parse(readFileSync(peersFile(survivor), 'utf8'))).toEqual([
      { id, address: survivor.rpcAddress, non_voter: false },
    ]);

    survivor.start([]);
    await untilVoters([survivor], [survivor]);
    expect(existsSync(peersFile(survivor))).toBe(false);
    expect(await ledger.missing(survivor)).toEqual([]);
    await ledger.write(survivor, 5);
  });

  test('new servers join it and get everything', async () => {
    const four = await group.place({ name: 's4', address: '127.0.0.31', disk: 'disk4' });
    const five = await group.place({ name: 's5', address: '127.0.0.32', disk: 'disk5' });
    for (const server of [four, five]) server.start(joinFlags([survivor], server));
    const all = [survivor, four, five];

    await untilVoters(all, all);
    for (const server of all) expect(await ledger.missing(server)).toEqual([]);
    await ledger.write(five, 5);
    others = [four, five];
  });

  test('two survivors of three recover together by one peers.json', async () => {
    const [four, lost] = others as [GroupServer, GroupServer];
    await Promise.all([survivor, four, lost].map((server) => server.die()));
    const rows = [survivor, four].map((server) => ({
      id: readFileSync(join(server.dataDir, 'node-id'), 'utf8'),
      address: server.rpcAddress,
    }));
    for (const server of [survivor, four]) writeFileSync(peersFile(server), JSON.stringify(rows));

    startAll([survivor, four]);
    await untilVoters([survivor, four], [survivor, four]);
    for (const server of [survivor, four]) expect(await ledger.missing(server)).toEqual([]);
    await ledger.write(four, 5);
  });
});

/** A survivor can only know what reached it: acknowledged writes need two of three. */
async function untilAllHold(ledger: Ledger, server: GroupServer): Promise<void> {
  await eventually('the survivor to hold all', async () =>
    (await ledger.missing(server, 'stale')).length === 0 ? true : undefined,
  );
}
