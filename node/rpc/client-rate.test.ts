import { afterEach, expect, test } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import { silentLogger } from '../../shared/log.ts';
import { Metrics } from '../../shared/metrics.ts';
import type { CallOptions } from './backend.ts';
import { createClientBackend } from './client-backend.ts';
import { kvApply } from './endpoints.ts';
import { createRpcListener } from './listener.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('requests above the rate are refused and counted, and a higher rate holds at once', async () => {
  const listener = createRpcListener({
    bindAddress: '127.0.0.1',
    port: 0,
    env: realEnv,
    log: silentLogger,
    service: { answer: async () => ({ kind: 'write', result: true }) },
    onRaftStream: (socket) => socket.destroy(),
  });
  await listener.start();
  cleanups.push(() => listener.stop());
  const tags = {
    role: 'consul',
    dc: 'dc1',
    id: 'i',
    vsn: '2',
    raft_vsn: '3',
    build: '1.8.5:',
    port: String(listener.port()),
  };
  const members = [{ name: 'n1', address: '127.0.0.1', tags, status: 'alive' as const }];
  const metrics = new Metrics();
  const client = createClientBackend({
    datacenter: 'dc1',
    lan: { members: () => members, subscribe: () => () => undefined },
    env: realEnv,
    log: silentLogger,
    metrics,
    rateLimit: { perSecond: 0.001, burst: 2 },
  });
  client.start();
  cleanups.push(() => client.stop());
  const options: CallOptions = { datacenter: '', token: '' };
  const args = { verb: 'set', key: 'k', value: new Uint8Array(0), flags: 0, index: 0, session: '' } as const;
  const put = () => client.write(kvApply, args, options);
  expect(await put()).toBe(true);
  expect(await put()).toBe(true);
  await expect(put()).rejects.toMatchObject({
    status: 429,
    message: 'RPC rate limit exceeded',
    applied: 'no',
  });
  const counted = metrics.report().Counters.map(({ Name, Sum }) => [Name, Sum]);
  expect(counted).toEqual([
    ['consul.client.rpc', 3],
    ['consul.client.rpc.exceeded', 1],
  ]);
  client.setRateLimit({ perSecond: -1, burst: 1 });
  expect(await put()).toBe(true);
});
