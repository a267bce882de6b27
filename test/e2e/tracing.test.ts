/** One request is one trace: from the gateway through the agents to the commit, in real processes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePorts, startPool, waitUntilReady } from '../../launch/pool.ts';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';
import { type CollectedSpan, startTraceCollector, type TraceCollector } from './trace-collector.ts';

let agent: DevAgent | undefined;
let gateway: TestGateway | undefined;

afterEach(async () => {
  await gateway?.process.stop('SIGKILL');
  await agent?.process.stop('SIGKILL');
});

describe('with a collector', () => {
  let collector: TraceCollector;
  beforeEach(async () => {
    collector = await startTraceCollector();
  });
  afterEach(() => collector.stop());

  test('a write through the gateway is one trace down to the log, each span under the one that caused it', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' };
    agent = await startDevAgent(env);
    gateway = await startTestGateway(agent.url, env);
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const response = await fetch(`${gateway.url}/v1/kv/traced?token=`, {
      method: 'PUT',
      body: 'v',
      headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
    });
    expect(response.status).toBe(200);
    const isOurs = (span: CollectedSpan) => span.traceId === traceId;
    const spans = await eventually('all spans', async () => {
      const ours = collector.spans.filter(isOurs);
      return ours.length >= 4 ? ours : undefined;
    });
    expect(chainOf(spans, 'b7ad6b7169203331')).toEqual([
      'proconsul-gateway: PUT /v1/kv/traced',
      'proconsul-gateway: upstream PUT /v1/kv/traced',
      'proconsul: PUT /v1/kv/',
      'proconsul: raft.commit',
    ]);
  });

  test('it goes on from agent to agent', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' };
    const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-trace-'));
    const portsOf = await freePorts(3);
    const both = { agentEnv: env, gatewayEnv: env, gatewayPort: portsOf(2).http };
    const pool = startPool({ servers: 1, clients: 1, dataRoot, portsOf, ...both });
    try {
      await waitUntilReady(pool);
      await eventually('the gateway to know the client agent', async () => {
        const text = await (await fetch(`${pool.gateway?.url}/metrics`)).text();
        return text.includes('state="usable"} 2') ? true : undefined;
      });
      const traceId = 'c0'.repeat(16);
      const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
      // A session belongs to the agent that makes it, so the gateway chooses a client agent for it.
      const created = await fetch(`${pool.gateway?.url}/v1/session/create`, { method: 'PUT', headers });
      expect(created.status).toBe(200);
      const spans = await eventually('all spans', async () => {
        const ours = collector.spans.filter((span) => span.traceId === traceId);
        return ours.length >= 6 ? ours : undefined;
      });
      expect(chainOf(spans, 'b7ad6b7169203331')).toEqual([
        'proconsul-gateway: PUT /v1/session/create',
        'proconsul-gateway: upstream PUT /v1/session/create',
        'proconsul: PUT /v1/session/create',
        'proconsul: rpc.client',
        'proconsul: rpc.server',
        'proconsul: raft.commit',
      ]);
    } finally {
      await pool.stop();
      rmSync(dataRoot, { recursive: true, force: true });
    }
  });

  test('a trace that the client does not sample is not taken up below', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' };
    agent = await startDevAgent(env);
    gateway = await startTestGateway(agent.url, env);
    const headers = (flags: string) => ({ traceparent: `00-${'ab'.repeat(16)}-b7ad6b7169203331-${flags}` });
    const put = (flags: string) =>
      fetch(`${gateway?.url}/v1/kv/quiet`, { method: 'PUT', body: 'v', headers: headers(flags) });
    expect((await put('00')).status).toBe(200);
    expect((await put('01')).status).toBe(200);
    await eventually('the sampled trace', async () =>
      collector.spans.filter(({ traceId }) => traceId === 'ab'.repeat(16)).length === 4 ? true : undefined,
    );
    expect(collector.spans.filter(({ name }) => name === 'PUT /v1/kv/')).toHaveLength(1);
  });

  test('what is pending is sent when the processes stop', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '600000' };
    agent = await startDevAgent(env);
    gateway = await startTestGateway(agent.url, env);
    expect((await fetch(`${gateway.url}/v1/kv/pending`)).status).toBe(404);
    expect(collector.spans).toEqual([]);
    await gateway.process.stop('SIGTERM');
    expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
    await agent.process.stop('SIGTERM');
    const services = new Set(collector.spans.map(({ service }) => service));
    expect([...services].sort()).toEqual(['proconsul', 'proconsul-gateway']);
  });

  test('a collector that is not there holds up nothing', async () => {
    collector.stop();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
    agent = await startDevAgent();
    gateway = await startTestGateway(agent.url, env);
    expect((await fetch(`${gateway.url}/v1/kv/none`)).status).toBe(404);
    await gateway.process.stop('SIGTERM', 8000);
    expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
  });
});

describe('without a collector', () => {
  test('no package of the SDK is loaded', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'proconsul-trace-'));
    const watch = join(dir, 'watch.mjs');
    writeFileSync(watch, LOADS);
    const env = { NODE_OPTIONS: `--import=${watch}`, OTEL_EXPORTER_OTLP_ENDPOINT: '' };
    agent = await startDevAgent(env);
    gateway = await startTestGateway(agent.url, env);
    expect((await fetch(`${gateway.url}/v1/kv/none`)).status).toBe(404);
    for (const { process } of [agent, gateway]) {
      const loaded = process.output().match(/^loaded @opentelemetry\/[\w-]+/gm) ?? [];
      expect([...new Set(loaded)]).toEqual(['loaded @opentelemetry/api']);
    }
    rmSync(dir, { recursive: true, force: true });
  });
});

/** Tells of every package of OpenTelemetry that the process resolves. */
const LOADS = `
import { registerHooks } from 'node:module';
import { writeSync } from 'node:fs';
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('@opentelemetry/')) writeSync(2, 'loaded ' + specifier + '\\n');
    return next(specifier, context);
  },
});
`;

/** Follows a trace from its root: `service: name` of the only child, and its only child, and so on. */
function chainOf(spans: readonly CollectedSpan[], rootParent: string): string[] {
  const chain: string[] = [];
  for (let parent = rootParent; chain.length <= spans.length; ) {
    const children = spans.filter(({ parentSpanId }) => parentSpanId === parent);
    const [child] = children;
    if (child === undefined) break;
    expect(children).toHaveLength(1);
    chain.push(`${child.service}: ${child.name}`);
    parent = child.spanId;
  }
  return chain;
}
