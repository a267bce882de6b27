/** Servers that are lost for good: what autopilot clears away, and new machines under the old name and under a new one. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import {
  createServerGroup,
  type GroupServer,
  joinFlags,
  Ledger,
  leaderOf,
  type ServerGroup,
  startThree,
  untilVoters,
} from './server-group.ts';

/** Autopilot looks every ten seconds, and gossip gives a name to another machine after thirty. */
const PATIENCE_MS = 50_000;

describe('one of three servers is lost for ever', { timeout: 2 * PATIENCE_MS }, () => {
  const ledger = new Ledger();
  let group: ServerGroup;
  let one: GroupServer;
  let two: GroupServer;
  let lost: GroupServer;
  let successor: GroupServer;

  beforeAll(async () => {
    group = createServerGroup();
    [one, two, lost] = await startThree(group, ['-log-level=DEBUG']);
    await ledger.write(one, 20);
    await lost.die();
    // A new machine with the old name comes at once: it has to wait until the name is free.
    successor = await group.place({ name: lost.name, address: '127.0.0.21', disk: 'disk3-new' });
    successor.start(joinFlags([one, two], successor));
  });
  afterAll(() => group?.close());

  test('autopilot keeps it as long as too few would be left', async () => {
    const set = await one.cli('operator', 'autopilot', 'set-config', '-min-quorum=3');
    expect(set).toMatchObject({ code: 0, stdout: 'Configuration updated!\n' });
    const leader = await leaderOf([one, two]);
    const refusal = 'removing 1/3 servers would leave less then minimal allowed quorum of 3 servers';
    await eventually('the refusal', async () => leader.process.output().includes(refusal) || undefined);
    expect((await one.peers())?.map((peer) => peer.Voter)).toEqual([true, true, true]);
  });

  test('autopilot takes it out once it may', async () => {
    await one.cli('operator', 'autopilot', 'set-config', '-min-quorum=0');
    await eventually('the dead server to be gone', async () => {
      const addresses = (await one.peers())?.map((peer) => peer.Address);
      return addresses !== undefined && !addresses.includes(lost.rpcAddress) ? true : undefined;
    });
    await ledger.write(two, 5);
  });

  test('a new machine takes over its name', async () => {
    await untilVoters([one, two, successor], [one, two, successor], PATIENCE_MS);
    expect(await ledger.missing(successor)).toEqual([]);
    await ledger.write(successor, 5);
  });

  test('a new machine under another name and address takes the place of the next one', async () => {
    await two.die();
    const other = await group.place({ name: 's4', address: '127.0.0.22', disk: 'disk4' });
    other.start(joinFlags([one, successor], other));

    await untilVoters([one, successor, other], [one, successor, other]);
    expect(await ledger.missing(other)).toEqual([]);
    await ledger.write(other, 5);
  });
});
