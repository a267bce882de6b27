/** ACL tokens in requests, wherever they stand, never show in logs, traces, metrics or shared cache keys. */

import { type ChildProcess, spawn } from 'node:child_process';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../../launch/pool.ts';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';
import { hasTool } from './tools.ts';
import { startTraceCollector, type TraceCollector } from './trace-collector.ts';

const CANARY = 'c4n4ry-70c3-11ee-b962-0242ac120002';
const HAS_REDIS = hasTool('redis-server');

let collector: TraceCollector;
let agent: DevAgent;
let gateway: TestGateway;
let redis: ChildProcess | undefined;
let redisUrl = '';

beforeAll(async () => {
  collector = await startTraceCollector();
  if (HAS_REDIS) {
    const port = (await freePorts(1))(0).http;
    redisUrl = `redis://127.0.0.1:${port}`;
    redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
      stdio: 'ignore',
    });
  }
  const tracing = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100' };
  agent = await startDevAgent(tracing);
  gateway = await startTestGateway(agent.url, {
    ...tracing,
    REDIS_URL: redisUrl,
    GATEWAY_LOG_LEVEL: 'trace',
    GATEWAY_ACCESS_LOG: 'json',
    GATEWAY_RATE_LIMIT_TOKEN: '1000/1000',
    GATEWAY_RETRY_DEADLINE: '500ms',
  });
});
afterAll(async () => {
  await gateway?.process.stop('SIGKILL', 1000);
  await agent?.process.stop('SIGKILL', 1000);
  redis?.kill('SIGKILL');
  collector?.stop();
});

const PATHS = [
  '/v1/kv/a?raw',
  '/v1/kv/a?stale',
  '/v1/catalog/services?cached',
  '/v1/agent/services',
  '/v1/kv//a/../b',
  '/v1/kv/%zz',
  '/v1/no-such-page',
  '/v1/acl/info/x',
  '/resolve?name=consul.service.consul&type=A',
  '/dns-query?dns=!!!',
];

/** What stands around the token, where it stands. */
function leaks(text: string): string[] {
  return text
    .split(CANARY)
    .slice(1)
    .map((after, i) => `${text.split(CANARY)[i]?.slice(-200)}TOKEN${after.slice(0, 50)}`);
}

/** The token in each place, and under an escaped key. */
async function askEverywhere(path: string): Promise<void> {
  const join = path.includes('?') ? '&' : '?';
  const bearer = { Authorization: `Bearer ${CANARY}` };
  for (const [target, headers] of [
    [path, { 'X-Consul-Token': CANARY }],
    [path, bearer],
    [`${path}${join}token=${CANARY}`, {}],
    [`${path}${join}%74oken=${CANARY}`, {}],
  ] as const)
    await (await fetch(`${gateway.url}${target}`, { headers })).arrayBuffer();
}

test('a token is nowhere to be found', async () => {
  await fetch(`${gateway.url}/v1/kv/a?token=${CANARY}`, { method: 'PUT', body: 'v' });
  await fetch(`${gateway.url}/v1/acl/info/${CANARY}`);
  await fetch(`${gateway.url}/v1/acl/destroy/${CANARY}`, { method: 'PUT' });
  for (const path of PATHS) await askEverywhere(path);
  await agent.process.stop('SIGTERM', 5000);
  for (const path of PATHS.slice(0, 4)) await askEverywhere(path);

  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toContain('proconsul_gateway_requests_total');
  if (HAS_REDIS) {
    const client = new Redis(redisUrl);
    const keys = await client.keys('*');
    expect(keys.some((key) => key.startsWith('proconsul:gateway:lkg:'))).toBe(true);
    expect(keys.some((key) => key.startsWith('proconsul:gateway:limit:'))).toBe(true);
    const values = await Promise.all(
      keys.map(async (key) =>
        (await client.type(key)) === 'string' ? client.get(key) : client.hgetall(key),
      ),
    );
    expect(JSON.stringify([keys, values])).not.toContain(CANARY);
    client.disconnect();
  }
  await gateway.process.stop('SIGTERM', 10_000);
  const spans = await eventually('spans', async () => {
    const text = collector.bodies.join('\n');
    const isWhole = ['"/v1/acl/info/<hidden>"', '"name":"proconsul_gateway_requests_total"'].every((part) =>
      text.includes(part),
    );
    return isWhole ? text : undefined;
  });
  const output = gateway.process.output();
  expect(output).toContain('"target":"/v1/kv/a?raw&token=<hidden>"');
  expect(output).toContain('"target":"/v1/acl/info/<hidden>"');
  expect([output, agent.process.output(), spans, metrics].flatMap(leaks)).toEqual([]);
});
