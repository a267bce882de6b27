/** Prometheus with the gateway as its source, by both mechanisms: the same targets, and one watch a service at the pool. */

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../../launch/pool.ts';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';
import { type Prometheus, startPrometheusWith } from './prometheus.ts';
import { findPrometheus, findPrometheusWithHttp } from './tools.ts';

const withConsul = findPrometheus();
const withHttp = findPrometheusWithHttp();

/** In front of the agent: counts the waits under way for each path, and hides that the agent isn't a plain Consul. */
interface CountingProxy {
  readonly url: string;
  /** Waits under way now, by path. */
  waits(): ReadonlyMap<string, number>;
  /** Waits that were under way for one path at the same time, at most. */
  mostAtOnce(): number;
  requests(): number;
  close(): void;
}

async function startCountingProxy(target: string): Promise<CountingProxy> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4000 });
  const waiting = new Map<string, number>();
  let most = 0;
  let requests = 0;
  const server = http.createServer((request, response) => {
    const url = request.url ?? '/';
    if (url.startsWith('/v1/internal/proconsul')) {
      response.writeHead(404).end();
      return;
    }
    requests++;
    const path = url.split('?')[0] ?? '';
    const isWait = /[?&]index=[1-9]/.test(url);
    const add = (by: number) => {
      if (isWait) waiting.set(path, (waiting.get(path) ?? 0) + by);
    };
    add(1);
    most = Math.max(most, waiting.get(path) ?? 0);
    const forwarded = http.request(target + url, { method: request.method, headers: request.headers, agent });
    forwarded.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    response.once('close', () => {
      add(-1);
      forwarded.destroy();
    });
    request.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    waits: () => new Map([...waiting].filter(([, count]) => count > 0)),
    mostAtOnce: () => most,
    requests: () => requests,
    close: () => {
      server.closeAllConnections();
      server.close();
      agent.destroy();
    },
  };
}

const SERVICES = 1000;
const name = (i: number) => `svc-${String(i).padStart(4, '0')}`;

let agent: DevAgent;
let proxy: CountingProxy;
let gateway: TestGateway;

beforeAll(async () => {
  agent = await startDevAgent({}, ['-hcl=limits { http_max_conns_per_client = 5000 }']);
  proxy = await startCountingProxy(agent.url);
  gateway = await startTestGateway(proxy.url, { GATEWAY_MAX_WAITS: '3000' });
  let next = 0;
  const register = async () => {
    while (next < SERVICES) await registerService(next++);
  };
  await Promise.all(Array.from({ length: 16 }, register));
});

afterAll(async () => {
  await gateway?.process.stop('SIGKILL');
  proxy?.close();
  await agent?.process.stop('SIGKILL');
});

/** Every label at least once: metadata with odd names, tags, tagged addresses, checks in all states. */
async function registerService(i: number): Promise<void> {
  const status = ['passing', 'warning', 'critical'][i % 3];
  const body = {
    Node: `node-${i % 7}`,
    Address: i % 2 === 0 ? `10.0.0.${i % 7}` : `fd00::${i % 7}`,
    TaggedAddresses: { lan: '10.9.9.9', 'wan-v4': '192.0.2.1' },
    NodeMeta: { 'rack.id': `r${i % 7}` },
    SkipNodeUpdate: i >= 7,
    Service: {
      ID: `${name(i)}-id`,
      Service: name(i),
      // Prometheus takes targets with the same address and port for one.
      Port: i === 5 ? 0 : 1000 + i,
      Address: i % 3 === 0 ? '' : `10.1.${i % 250}.1`,
      Tags: ['all', ...(i % 4 === 0 ? ['fourth'] : [])],
      Meta: { 'team-name': `t${i % 3}`, empty: '' },
    },
    Check: {
      CheckID: i % 10 === 9 ? `_service_maintenance:${name(i)}-id` : `c-${i}`,
      Name: 'c',
      Status: status,
      ServiceID: `${name(i)}-id`,
    },
  };
  const response = await fetch(`${agent.url}/v1/catalog/register`, {
    method: 'PUT',
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(await response.text());
  await response.arrayBuffer();
}

const job = (jobName: string, discovery: string) => `
  - job_name: ${jobName}
    scrape_interval: 1h
    scrape_timeout: 1s
    ${discovery}
`;
const consulJob = (jobName: string) =>
  job(jobName, `consul_sd_configs: [{ server: '127.0.0.1:${gateway.port}', refresh_interval: 1s }]`);
const httpJob = (jobName: string, query = '') =>
  job(jobName, `http_sd_configs: [{ url: '${gateway.url}/v1/prometheus/sd${query}', refresh_interval: 1s }]`);

async function run<T>(
  program: string,
  jobs: string,
  use: (prometheus: Prometheus) => Promise<T>,
): Promise<T> {
  const { http: port } = (await freePorts(1))(0);
  const prometheus = startPrometheusWith(program, `scrape_configs:${jobs}`, port);
  try {
    return await use(prometheus);
  } finally {
    await prometheus.stop();
  }
}

/** Labels by service ID, without what names the job and the mechanism. */
function labelsByService(targets: Awaited<ReturnType<Prometheus['targets']>>): Record<string, unknown> {
  return Object.fromEntries(
    (targets ?? []).map(({ discoveredLabels }) => {
      const { job: _job, __meta_url: _url, ...labels } = discoveredLabels;
      // Newer versions tell these two of every target, older ones don't.
      const { __scrape_interval__: _interval, __scrape_timeout__: _timeout, ...compared } = labels;
      return [labels.__meta_consul_service_id ?? '', compared];
    }),
  );
}

/** A thousand targets take a while on a machine that has other things to do. */
const PATIENCE_MS = 100_000;
const PATIENTLY = { timeout: 2 * PATIENCE_MS };

async function untilTargets(prometheus: Prometheus, count: number) {
  const found = async () => {
    const discovered = await prometheus.discovered();
    if (discovered !== count) throw new Error(`${discovered} found so far`);
    const targets = await prometheus.targets();
    return targets?.length === count ? targets : undefined;
  };
  return eventually(`${count} targets`, found, PATIENCE_MS);
}

describe.runIf(withConsul !== undefined)('consul_sd_configs', () => {
  test('a thousand services, watched twice over, hold one wait each at the agents', PATIENTLY, async () => {
    await run(withConsul ?? '', consulJob('one') + consulJob('two'), async (prometheus) => {
      await untilTargets(prometheus, 2 * (SERVICES + 1));
      const waits = await eventually('a wait for every service', async () => {
        const now = proxy.waits();
        return now.size === SERVICES + 2 ? now : undefined;
      });
      expect(waits.get('/v1/catalog/services')).toBe(1);
      expect([...waits.values()].every((count) => count === 1)).toBe(true);
      // A wait and the next one of late comers may meet for a moment, never more.
      expect(proxy.mostAtOnce()).toBeLessThanOrEqual(2);
    });
    await eventually('no wait left behind', async () => (proxy.waits().size === 0 ? true : undefined));
  });
});

describe.runIf(withHttp !== undefined)('http_sd_configs', () => {
  test('gives the targets and labels that consul_sd_configs gives', PATIENTLY, async () => {
    const all = (prometheus: Prometheus) => untilTargets(prometheus, SERVICES + 1);
    const [native, consul] = await Promise.all([
      run(withHttp ?? '', httpJob('http'), all),
      withConsul === undefined ? undefined : run(withConsul, consulJob('consul'), all),
    ]);
    if (consul === undefined) return;
    expect(labelsByService(native)).toEqual(labelsByService(consul));
  });

  test('costs the agents nothing while nothing changes, and follows what does', PATIENTLY, async () => {
    const scrape = async (query = '') => {
      const response = await fetch(`${gateway.url}/v1/prometheus/sd${query}`);
      expect(response.status).toBe(200);
      return (await response.json()) as { targets: string[]; labels: Record<string, string> }[];
    };
    expect((await scrape()).length).toBe(SERVICES + 1);
    await eventually('views of all', async () => (proxy.waits().size === SERVICES + 2 ? true : undefined));
    const before = proxy.requests();
    for (let i = 0; i < 5; i++) await scrape();
    // Agents confirm views about once a minute; beyond that scrapes ask nothing.
    expect(proxy.requests() - before).toBeLessThan(1.5 * SERVICES);
    expect((await scrape('?tag=fourth')).length).toBe(SERVICES / 4);
    expect((await scrape(`?service=${name(3)}`)).map(({ labels }) => labels.__meta_consul_service)).toEqual([
      name(3),
    ]);
    const order = { Node: 'node-3', ServiceID: `${name(3)}-id` };
    await fetch(`${agent.url}/v1/catalog/deregister`, { method: 'PUT', body: JSON.stringify(order) });
    await eventually('it to be gone', async () => ((await scrape()).length === SERVICES ? true : undefined));
  });
});
