/** Two gateways that share a real Redis: limits and last-known-good answers together, and what is left when it is gone. */

import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../../launch/pool.ts';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';
import { hasTool } from './tools.ts';

describe.skipIf(!hasTool('redis-server'))('with Redis', () => {
  let agent: DevAgent;
  let redisPort: number;
  let redis: ChildProcess;
  const gateways: TestGateway[] = [];

  const startRedis = () => {
    const args = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    redis = spawn('redis-server', args, { stdio: 'ignore' });
  };
  const stopRedis = async () => {
    const ended = new Promise((resolve) => redis.once('exit', resolve));
    redis.kill('SIGKILL');
    await ended;
  };

  beforeAll(async () => {
    redisPort = (await freePorts(1))(0).http;
    startRedis();
    agent = await startDevAgent();
    for (let i = 0; i < 2; i++)
      gateways.push(
        await startTestGateway(agent.url, {
          REDIS_URL: `redis://127.0.0.1:${redisPort}`,
          GATEWAY_RATE_LIMIT_TOKEN: '0.01/6',
          GATEWAY_RETRY_DEADLINE: '300ms',
        }),
      );
    await Promise.all(gateways.map((gateway) => redisIs(gateway, 'up')));
  });
  afterAll(async () => {
    await Promise.all(gateways.map(({ process }) => process.stop('SIGKILL', 1000)));
    await agent?.process.stop('SIGKILL', 1000);
    redis?.kill('SIGKILL');
  });

  const redisIs = (gateway: TestGateway, state: 'up' | 'degraded') =>
    eventually(`Redis ${state}`, async () => {
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
      return metrics.includes(`proconsul_gateway_redis{state="${state}"} 1\n`) ? true : undefined;
    });
  const ask = (gateway: TestGateway | undefined, path: string, token?: string) =>
    fetch(`${gateway?.url}${path}`, token === undefined ? {} : { headers: { 'X-Consul-Token': token } });
  const spend = async (token: string): Promise<number[]> => {
    const statuses: number[] = [];
    for (let i = 0; i < 20; i++)
      statuses.push((await ask(gateways[i % 2], '/v1/status/leader', token)).status);
    return statuses;
  };

  test('a token has one limit over all gateways; without Redis each keeps its own', async () => {
    expect((await spend('one')).filter((status) => status === 200)).toHaveLength(6);
    const refused = await ask(gateways[0], '/v1/status/leader', 'one');
    expect([refused.status, await refused.text()]).toEqual([
      429,
      expect.stringContaining('Too many requests with this ACL token'),
    ]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(1);
    for (const path of ['/health', '/ready', '/metrics'])
      expect((await ask(gateways[0], path, 'one')).status).toBe(200);
  });

  test('an answer that one gateway got is known to the other when the agents are gone', async () => {
    await fetch(`${gateways[0]?.url}/v1/kv/kept`, { method: 'PUT', body: 'v' });
    expect(await (await ask(gateways[0], '/v1/kv/kept?raw&stale')).text()).toBe('v');
    await agent.process.stop('SIGKILL', 1000);
    const recalled = await ask(gateways[1], '/v1/kv/kept?raw&stale');
    expect(await recalled.text()).toBe('v');
    expect(recalled.headers.get('x-proconsul-stale')).toBe('true');
    expect(recalled.headers.get('age')).toMatch(/^\d+$/);
  });

  test('Redis dies and comes back: said once each, and nothing fails', async () => {
    await stopRedis();
    await Promise.all(gateways.map((gateway) => redisIs(gateway, 'degraded')));
    const own = await ask(gateways[0], '/v1/kv/kept?raw&stale');
    expect([own.status, await own.text(), own.headers.get('x-proconsul-stale')]).toEqual([200, 'v', 'true']);
    expect((await ask(gateways[0], '/ready')).status).toBe(503);
    for (const gateway of gateways) {
      const asked = Array.from({ length: 8 }, () => ask(gateway, '/v1/status/leader', 'two'));
      const statuses = (await Promise.all(asked)).map(({ status }) => status);
      // No agent is left that could answer: what is not refused by the limit is 503.
      expect(statuses.filter((status) => status === 429)).toHaveLength(2);
    }
    startRedis();
    await Promise.all(gateways.map((gateway) => redisIs(gateway, 'up')));
    for (const { process } of gateways) {
      expect(process.output().match(/Redis does not answer/g)).toHaveLength(1);
      expect(process.output().match(/Redis answers again/g)).toHaveLength(1);
    }
  });
});
