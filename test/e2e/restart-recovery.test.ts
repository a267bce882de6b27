/** Outages after which every server comes back: all at once, all at new addresses, all after a graceful leave. */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import {
  createServerGroup,
  type GroupServer,
  Ledger,
  leaderOf,
  type ServerGroup,
  startAll,
  startThree,
  untilVoters,
} from './server-group.ts';

describe('three servers that all come back', { timeout: 60_000 }, () => {
  const ledger = new Ledger();
  let group: ServerGroup;
  let servers: [GroupServer, GroupServer, GroupServer];

  beforeAll(async () => {
    group = createServerGroup();
    servers = await startThree(group);
    await ledger.write(servers[0], 20);
  });
  afterAll(() => group?.close());

  test('list-peers -lag shows how far each is', async () => {
    const row = (name: string, more: string) =>
      new RegExp(`^${name} +[0-9a-f-]{36} .* true +3 +\\d+ +${more}$`, 'm');
    const leader = await leaderOf(servers);
    await eventually('the followers to have everything', async () => {
      const { stdout } = await servers[0].cli('operator', 'raft', 'list-peers', '-lag');
      const isEven = servers.every(({ name }) =>
        row(name, name === leader.name ? '-' : '0 commits').test(stdout),
      );
      return isEven || undefined;
    });
  });

  test('after the power went for all at once, in the middle of writing, no acknowledged write is gone', async () => {
    const stop = ledger.keepWriting(await leaderOf(servers));
    const before = ledger.size;
    await eventually('some writes', async () => (ledger.size > before + 20 ? true : undefined));
    await Promise.all(servers.map((server) => server.die()));
    await stop();

    startAll(servers);
    await untilVoters(servers, servers);
    for (const server of servers) expect(await ledger.missing(server)).toEqual([]);
    await ledger.write(servers[1], 5);
  });

  test('all at new addresses keep their identity and their data', async () => {
    await Promise.all(servers.map((server) => server.die()));
    for (const [i, server] of servers.entries()) await server.moveTo(`127.0.0.${11 + i}`);

    startAll(servers);
    await untilVoters(servers, servers);
    for (const server of servers) expect(await ledger.missing(server)).toEqual([]);
    await ledger.write(servers[2], 5);
  });

  test("all at each other's addresses do as well", async () => {
    await Promise.all(servers.map((server) => server.die()));
    const places = servers.map(({ address, ports }) => ({ address, ports }));
    for (const [i, server] of servers.entries()) Object.assign(server, places[(i + 1) % 3]);

    startAll(servers);
    await untilVoters(servers, servers);
    for (const server of servers) expect(await ledger.missing(server)).toEqual([]);
    await ledger.write(servers[0], 5);
  });

  test('a server whose log is damaged says where, and joins as a new one under its old name and address', async () => {
    const victim = servers[2];
    await victim.die();
    const log = join(victim.dataDir, 'raft', 'log-0000000000000001.wal');
    const bytes = readFileSync(log);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    writeFileSync(log, bytes);
    startAll(servers, [], [victim]);
    expect(await victim.process.exited).toMatchObject({ code: 1 });
    expect(victim.process.output()).toContain(`raft log ${log} is damaged at offset `);
    const check = await victim.cli('operator', 'storage', 'check', `-data-dir=${victim.dataDir}`);
    expect(check.code).toBe(2);
    expect(check.stdout).toMatch(/^raft\/log-0+1\.wal: damaged at offset \d+: checksum does not match/m);

    for (const name of ['raft', 'node-id']) rmSync(join(victim.dataDir, name), { recursive: true });
    startAll(servers, [], [victim]);
    await untilVoters(servers, servers);
    expect(await ledger.missing(victim)).toEqual([]);
    await ledger.write(victim, 5);
  });

  test('after all have left gracefully, as when the machines are shut down, they form the same cluster again', async () => {
    const left = await Promise.all(servers.map((server) => server.cli('leave')));
    expect(left.map(({ code }) => code)).toEqual([0, 0, 0]);
    // Some leave cleanly, others wait in vain for somebody to take them out: both must be harmless.
    await Promise.all(servers.map((server) => server.process.exited));

    startAll(servers);
    await untilVoters(servers, servers, 15_000);
    for (const server of servers) expect(await ledger.missing(server)).toEqual([]);
    await ledger.write(servers[0], 5);
  });
});
