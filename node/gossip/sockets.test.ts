/** Pools on real sockets, on loopback. */

import { createServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import { type TestPool, testConfig, testPool } from './testing/pool-fixture.ts';
import type { GossipConfig } from './types.ts';

const running: TestPool[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ pool }) => pool.shutdown()));
});

async function started(name: string, host: string, overrides: Partial<GossipConfig> = {}): Promise<TestPool> {
  const member = testPool(testConfig(name, { bindAddress: host, ...overrides }), realEnv);
  running.push(member);
  await member.pool.start();
  return member;
}

const addressOf = ({ pool }: TestPool): string => `${pool.localMember().address}:${pool.localMember().port}`;

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 20 });

async function trio(overrides: Partial<GossipConfig> = {}): Promise<[TestPool, TestPool, TestPool]> {
  const a = await started('a', '127.0.0.1', overrides);
  const b = await started('b', '127.0.0.2', overrides);
  const c = await started('c', '127.0.0.3', overrides);
  expect(await b.pool.join([addressOf(a)], true)).toBe(1);
  expect(await c.pool.join([addressOf(a)], true)).toBe(1);
  const all = { a: 'alive', b: 'alive', c: 'alive' };
  await eventually(() => expect([a, b, c].map((pool) => pool.statuses())).toEqual([all, all, all]));
  return [a, b, c];
}

describe('three pools on loopback', () => {
  it('join, exchange events, notice a failure, take a leave', async () => {
    const [a, b, c] = await trio();
    expect(b.named('member-join').sort()).toEqual(['a', 'b', 'c']);

    c.pool.fireEvent('consul:event:deploy', new TextEncoder().encode('v2'), false);
    await eventually(() => {
      for (const pool of [a, b, c]) {
        const user = pool.events.filter((event) => event.kind === 'user');
        expect(user).toEqual([
          { kind: 'user', lTime: 1n, name: 'consul:event:deploy', payload: new TextEncoder().encode('v2') },
        ]);
      }
    });

    await c.pool.shutdown();
    await eventually(() => {
      expect(a.statuses()).toEqual({ a: 'alive', b: 'alive', c: 'failed' });
      expect(b.statuses()).toEqual({ a: 'alive', b: 'alive', c: 'failed' });
    });
    expect(a.named('member-failed')).toEqual(['c']);

    await b.pool.leave();
    await eventually(() => expect(a.statuses()).toEqual({ a: 'alive', b: 'left', c: 'failed' }));
    expect(b.pool.localMember().status).toBe('left');

    await a.pool.forceLeave('c', false);
    expect(a.statuses()).toEqual({ a: 'alive', b: 'left', c: 'left' });
    const texts = a.records.map((record) => `${record.name}: ${record.message}`);
    expect(texts).toContain('agent.server.serf.lan: serf: EventMemberJoin: c 127.0.0.3');
    expect(texts).toContain('agent.server.serf.lan: serf: EventMemberFailed: c 127.0.0.3');
    expect(texts).toContain('agent.server.serf.lan: serf: EventMemberLeave: b 127.0.0.2');
    expect(texts).toContain('agent.server.serf.lan: serf: EventMemberLeave (forced): c 127.0.0.3');
  });

  it('talks encrypted and keeps out who has no key', async () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => i);
    const [a] = await trio({ keys: [key] });
    expect(a.pool.stats().encrypted).toBe('true');
    const stranger = await started('x', '127.0.0.4');
    await expect(stranger.pool.join([addressOf(a)], true)).rejects.toThrow(
      '1 error occurred:\n\t* Failed to join 127.0.0.1: Remote state is encrypted and encryption is not configured\n\n',
    );
    expect(a.pool.members().map((member) => member.name)).not.toContain('x');
  });

  it('passes a change of tags on', async () => {
    const [a, b, c] = await trio();
    b.pool.setTags({ role: 'consul', dc: 'dc1' });
    await eventually(() => {
      for (const { pool } of [a, b, c])
        expect(pool.members().find((member) => member.name === 'b')?.tags).toEqual({
          role: 'consul',
          dc: 'dc1',
        });
    });
    expect(a.named('member-update')).toEqual(['b']);
  });
});

describe('errors', () => {
  it('a join that nobody answers names address and reason', async () => {
    const a = await started('a', '127.0.0.1');
    await expect(a.pool.join(['127.0.0.1:1'], true)).rejects.toThrow(
      '1 error occurred:\n\t* Failed to join 127.0.0.1: dial tcp 127.0.0.1:1: connect: connection refused\n\n',
    );
    await expect(a.pool.join(['127.0.0.1:1', '127.0.0.1:2'], true)).rejects.toThrow(
      /^2 errors occurred:\n\t\* /,
    );
  });

  it('one answer out of two is a success', async () => {
    const a = await started('a', '127.0.0.1');
    const b = await started('b', '127.0.0.2');
    expect(await b.pool.join(['127.0.0.1:1', addressOf(a)], true)).toBe(1);
  });

  it('a port in use rejects start with address, port and code', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const address = holder.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { pool } = testPool(testConfig('a', { bindPort: port }), realEnv);
    await expect(pool.start()).rejects.toMatchObject({
      message: `Failed to start TCP listener on "127.0.0.1" port ${port}: listen tcp 127.0.0.1:${port}: bind: address already in use`,
      code: 'EADDRINUSE',
    });
    await new Promise((resolve) => holder.close(resolve));
  });
});
