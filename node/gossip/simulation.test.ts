/** Whole pools on a simulated network and clock. */

import { describe, expect, it } from 'vitest';
import type { Env } from '../../shared/env.ts';
import { SeededRandom, SimulatedClock } from '../../shared/simulated-env.ts';
import { type TestPool, testConfig, testPool } from './testing/pool-fixture.ts';
import { SimulatedNetwork } from './testing/simulated-network.ts';
import { LAN_TIMERS } from './timers.ts';
import type { GossipConfig } from './types.ts';

const PORT = 8301;
const hostOf = (i: number): string => `10.0.${i >> 8}.${i & 0xff}`;

class World {
  readonly clock = new SimulatedClock();
  readonly network: SimulatedNetwork;
  readonly pools: TestPool[] = [];
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.network = new SimulatedNetwork(this.clock, new SeededRandom(seed));
  }

  async start(i: number, overrides: Partial<GossipConfig> = {}): Promise<TestPool> {
    const host = hostOf(i);
    const env: Env = { clock: this.clock, random: new SeededRandom(this.#seed * 1000 + i) };
    const config = testConfig(`n${i}`, {
      bindAddress: host,
      bindPort: PORT,
      timers: LAN_TIMERS,
      ...overrides,
    });
    const member = testPool(config, env, this.network.transport(host));
    await member.pool.start();
    this.pools[i] = member;
    return member;
  }

  /** Members 0 … count − 1, all joined by way of the first. */
  async grow(count: number, overrides: Partial<GossipConfig> = {}): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { pool } = await this.start(i, overrides);
      if (i > 0) await this.during(pool.join([hostOf(0)], true));
    }
  }

  member(i: number): TestPool {
    const found = this.pools[i];
    if (found === undefined) throw new Error(`no member ${i}`);
    return found;
  }

  /** Lets time pass until the promise settles. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const watched = promise.finally(() => {
      isSettled = true;
    });
    watched.catch(() => undefined);
    while (!isSettled) await this.clock.advanceAsync(5);
    return watched;
  }

  async passSeconds(seconds: number): Promise<void> {
    await this.clock.advanceAsync(seconds * 1000);
  }

  /** Seconds until it holds. */
  async until(holds: () => boolean, limitSeconds: number): Promise<number> {
    for (let passed = 0; passed < limitSeconds; passed += 0.1) {
      if (holds()) return passed;
      await this.passSeconds(0.1);
    }
    throw new Error(`did not come to hold within ${limitSeconds} s`);
  }

  /** Everyone in `observers` sees `status` for everyone in `subjects`. */
  allSee(observers: readonly number[], subjects: readonly number[], status: string): boolean {
    return observers.every((i) => {
      const statuses = this.member(i).statuses();
      return subjects.every((j) => statuses[`n${j}`] === status);
    });
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe('a pool of 30 members', () => {
  it('all learn of all; a dead one fails everywhere; a leaving one has left everywhere', async () => {
    const world = new World(1);
    await world.grow(30);
    await world.until(() => world.allSee(range(0, 30), range(0, 30), 'alive'), 30);

    await world.member(7).pool.shutdown();
    const survivors = range(0, 30).filter((i) => i !== 7);
    const seconds = await world.until(() => world.allSee(survivors, [7], 'failed'), 120);
    expect(seconds).toBeGreaterThan(3);
    expect(seconds).toBeLessThan(60);
    expect(world.allSee(survivors, survivors, 'alive')).toBe(true);

    await world.during(world.member(8).pool.leave());
    await world.member(8).pool.shutdown();
    const rest = survivors.filter((i) => i !== 8);
    await world.until(() => world.allSee(rest, [8], 'left'), 30);
    expect(rest.flatMap((i) => world.member(i).named('member-failed'))).toEqual(rest.map(() => 'n7'));
    expect(rest.flatMap((i) => world.member(i).named('member-leave'))).toEqual(rest.map(() => 'n8'));
  });

  it('delivers a user event exactly once to everyone', async () => {
    const world = new World(2);
    world.network.conditions.duplication = 0.3;
    await world.grow(30);
    await world.until(() => world.allSee(range(0, 30), range(0, 30), 'alive'), 30);
    world.member(3).pool.fireEvent('consul:new-leader', new TextEncoder().encode('n3'), false);
    world.member(4).pool.fireEvent('consul:new-leader', new TextEncoder().encode('n4'), false);
    await world.passSeconds(40);
    for (const member of world.pools) {
      const payloads = member.events
        .filter((event) => event.kind === 'user')
        .map((event) => new TextDecoder().decode(event.payload));
      expect(payloads.sort()).toEqual(['n3', 'n4']);
    }
  });

  it('keeps everyone alive under a quarter of all packets lost', async () => {
    const world = new World(3);
    await world.grow(30);
    await world.until(() => world.allSee(range(0, 30), range(0, 30), 'alive'), 30);
    world.network.conditions.loss = 0.25;
    await world.passSeconds(300);
    expect(world.pools.flatMap((member) => member.named('member-failed'))).toEqual([]);
  });

  it('splits and heals', async () => {
    const world = new World(4);
    await world.grow(30);
    await world.until(() => world.allSee(range(0, 30), range(0, 30), 'alive'), 30);
    const left = range(0, 20);
    const right = range(20, 30);
    const rightHosts = new Set(right.map(hostOf));
    world.network.partition((host) => (rightHosts.has(host) ? 1 : 0));
    await world.until(() => world.allSee(left, right, 'failed') && world.allSee(right, left, 'failed'), 400);
    world.network.heal();
    await world.until(() => world.allSee(range(0, 30), range(0, 30), 'alive'), 300);
  });
});

describe('single members', () => {
  it('a restart under the same name and address is alive again, with a higher incarnation', async () => {
    const world = new World(5);
    await world.grow(5);
    await world.until(() => world.allSee(range(0, 5), range(0, 5), 'alive'), 30);
    await world.member(2).pool.shutdown();
    await world.until(() => world.allSee([0, 1, 3, 4], [2], 'failed'), 60);
    const { pool } = await world.start(2);
    await world.during(pool.join([hostOf(0)], true));
    await world.until(() => world.allSee(range(0, 5), range(0, 5), 'alive'), 30);
  });

  it('a quick restart is not even noticed as a failure', async () => {
    const world = new World(6);
    await world.grow(5);
    await world.passSeconds(5);
    await world.member(2).pool.shutdown();
    await world.passSeconds(1);
    const { pool } = await world.start(2);
    await world.during(pool.join([hostOf(0)], true));
    await world.passSeconds(60);
    expect(world.allSee(range(0, 5), range(0, 5), 'alive')).toBe(true);
    expect([0, 1, 3, 4].flatMap((i) => world.member(i).named('member-failed'))).toEqual([]);
  });

  it('one that left may come back under another address at once', async () => {
    const world = new World(7);
    await world.grow(4);
    await world.passSeconds(5);
    await world.during(world.member(3).pool.leave());
    await world.member(3).pool.shutdown();
    await world.until(() => world.allSee([0, 1, 2], [3], 'left'), 30);
    const { pool } = await world.start(9, { nodeName: 'n3' });
    await world.during(pool.join([hostOf(0)], true));
    await world.until(() => world.allSee([0, 1, 2], [3], 'alive'), 30);
    expect(
      world
        .member(0)
        .pool.members()
        .find((member) => member.name === 'n3')?.address,
    ).toBe(hostOf(9));
  });

  it('a second holder of a live name is refused and reported', async () => {
    const world = new World(8);
    await world.grow(3);
    await world.passSeconds(5);
    const { pool } = await world.start(9, { nodeName: 'n1' });
    await world.during(pool.join([hostOf(0)], true));
    await world.passSeconds(20);
    expect(
      world
        .member(0)
        .pool.members()
        .find((member) => member.name === 'n1')?.address,
    ).toBe(hostOf(1));
    const messages = world.member(0).records.map((record) => record.message);
    expect(messages).toContain(
      `serf: Name conflict for 'n1' both ${hostOf(1)}:8301 and ${hostOf(9)}:8301 are claiming`,
    );
  });

  it('a refused merge keeps the stranger out', async () => {
    const world = new World(9);
    const onlyDc1: GossipConfig['mergeCheck'] = (members) => {
      const stranger = members.find((member) => member.tags.dc !== 'dc1');
      return stranger && `Member '${stranger.name}' part of wrong datacenter '${stranger.tags.dc}'`;
    };
    await world.grow(2, { mergeCheck: onlyDc1 });
    const { pool } = await world.start(5, { tags: { role: 'node', dc: 'dc2' } });
    await world.during(pool.join([hostOf(0)], true));
    await world.passSeconds(30);
    expect(world.member(0).statuses()).toEqual({ n0: 'alive', n1: 'alive' });
    const messages = world.member(0).records.map((record) => record.message);
    expect(messages.some((text) => text.includes("Member 'n5' part of wrong datacenter 'dc2'"))).toBe(true);
  });

  it('members with addresses outside of the allowed networks are not taken in', async () => {
    const world = new World(11);
    const isAllowedAddress = (address: string) => address !== hostOf(5);
    await world.grow(2, { isAllowedAddress });
    const { pool } = await world.start(5);
    await world.during(pool.join([hostOf(0)], true));
    await world.passSeconds(30);
    expect([world.member(0).statuses(), world.member(1).statuses()]).toEqual([
      { n0: 'alive', n1: 'alive' },
      { n0: 'alive', n1: 'alive' },
    ]);
    const messages = world.member(0).records.map((record) => record.message);
    expect(messages.some((text) => text.includes(`${hostOf(5)} is not allowed`))).toBe(true);
  });

  it('a failed member can be forced out, and with prune it is gone', async () => {
    const world = new World(10);
    await world.grow(4);
    await world.passSeconds(5);
    await world.member(3).pool.shutdown();
    await world.until(() => world.allSee([0, 1, 2], [3], 'failed'), 60);
    await world.during(world.member(0).pool.forceLeave('n3', false));
    await world.until(() => world.allSee([0, 1, 2], [3], 'left'), 30);
    await world.during(world.member(1).pool.forceLeave('n3', true));
    await world.until(() => [0, 1, 2].every((i) => world.member(i).statuses().n3 === undefined), 30);
    expect(world.member(2).named('member-reap')).toEqual(['n3']);
    await world.passSeconds(120);
    expect(world.member(2).statuses()).toEqual({ n0: 'alive', n1: 'alive', n2: 'alive' });
    await expect(world.member(0).pool.forceLeave('n3', false)).rejects.toThrow(
      "No node found with name 'n3'",
    );
  });

  it('one that is forced out while alive says so', async () => {
    const world = new World(11);
    await world.grow(3);
    await world.passSeconds(5);
    await world.during(world.member(0).pool.forceLeave('n1', false));
    await world.passSeconds(30);
    expect(world.allSee([0, 1, 2], [0, 1, 2], 'alive')).toBe(true);
  });

  it('a leave is not mistaken for a failure when full states are exchanged in the middle of it', async () => {
    for (let seed = 100; seed < 120; seed++) {
      const world = new World(seed);
      await world.grow(4, { timers: { ...LAN_TIMERS, pushPullIntervalMs: 60 } });
      await world.passSeconds(5);
      await world.during(world.member(1).pool.leave());
      await world.until(() => world.allSee([0, 2, 3], [1], 'left'), 30);
      const failed = [0, 2, 3].flatMap((i) => world.member(i).named('member-failed'));
      expect(failed, `seed ${seed}`).toEqual([]);
    }
  });

  it('measures distances', async () => {
    const world = new World(12);
    world.network.conditions.delayMs = 20;
    await world.grow(6);
    await world.passSeconds(300);
    const own = world.member(0).pool.coordinate();
    expect(own.Error).toBeLessThan(1);
    expect(world.member(0).pool.coordinateOf('n1')?.Vec).toHaveLength(8);
    expect(world.member(0).pool.coordinateOf('nobody')).toBeUndefined();
  });
});
