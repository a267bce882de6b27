/** The description that agents and gateways give of themselves, held against what they answer. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANSWER_SCHEMAS } from '../../shared/api/answer-schemas.ts';
import type { Operation } from '../../shared/api/operation.ts';
import { OPERATIONS } from '../../shared/api/operations.ts';
import { SCHEMAS } from '../../shared/api/schemas.ts';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';
import { checkSchema, type SchemaCheck } from './schema-check.ts';

let agent: DevAgent;
let gateway: TestGateway;
/** What stands for the parts of paths. */
const samples: Record<string, string> = {
  service: 'web',
  serviceId: 'web-1',
  check: 'service:web-1',
  node: 'dev1',
  state: 'any',
  key: 'locked',
  name: 'web',
  kind: 'service-defaults',
  gateway: 'none',
  query: 'find-web',
};

async function put(path: string, body: unknown, method = 'PUT', base = agent.url): Promise<unknown> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${base}${path}`, { method, body: text });
  const answer = await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${answer}`);
  return answer === '' ? undefined : JSON.parse(answer);
}

beforeAll(async () => {
  agent = await startDevAgent();
  gateway = await startTestGateway(agent.url);
  const web = {
    ID: 'web-1',
    Name: 'web',
    Address: '10.0.0.1',
    Port: 80,
    Tags: ['a'],
    Meta: { x: 'y' },
    Checks: [{ TTL: '600s', Status: 'passing' }],
  };
  // Through the gateway, so that there is a floating service as well.
  await put('/v1/agent/service/register', web, 'PUT', gateway.url);
  await put('/v1/agent/service/register', {
    Name: 'web-proxy',
    Kind: 'connect-proxy',
    Port: 81,
    Proxy: { DestinationServiceName: 'web' },
  });
  const definition = { HTTP: 'http://10.0.0.9/', Interval: '10s', Header: { A: ['b'] } };
  await put('/v1/catalog/register', {
    Node: 'outside',
    Address: '10.0.0.9',
    Service: { Service: 'web', ID: 'web-2', Connect: { Native: true } },
    Check: { Name: 'up', ServiceID: 'web-2', Definition: definition },
  });
  const { ID: session } = (await put('/v1/session/create', { Name: 's' })) as { ID: string };
  await put(`/v1/kv/locked?flags=18446744073709551615&acquire=${session}`, 'value');
  const definitionOfQuery = { Name: 'find-web', Service: { Service: 'web' } };
  const { ID: id } = (await put('/v1/query', definitionOfQuery, 'POST')) as { ID: string };
  await put('/v1/event/fire/deploy', 'payload');
  await put('/v1/config', { Kind: 'service-defaults', Name: 'web', Protocol: 'http' });
  Object.assign(samples, { session, id });
  await eventually('the service in the catalog', async () => {
    const response = await fetch(`${agent.url}/v1/catalog/service/web`);
    return ((await response.json()) as unknown[]).length === 2 ? true : undefined;
  });
  await eventually('metrics of a whole interval, and a coordinate', async () => {
    const metrics = (await (await fetch(`${agent.url}/v1/agent/metrics`)).json()) as { Counters: unknown[] };
    const nodes = (await (await fetch(`${agent.url}/v1/coordinate/nodes`)).json()) as unknown[];
    return metrics.Counters.length > 0 && nodes.length > 0 ? true : undefined;
  });
});
afterAll(async () => {
  await gateway?.process.stop();
  await agent?.process.stop('SIGKILL');
});

/** Reads that need what a development agent lacks. */
const NOT_HERE = /^\/v1\/acl|^\/debug|\/operator\/keyring$|\/connect\/(?:ca|intentions)|\/discovery-chain\//;

const READS = OPERATIONS.filter(
  ({ method, path, answer }) =>
    method === 'GET' && answer !== undefined && 'schema' in answer && !NOT_HERE.test(path),
);

async function checkRead({ path, answer }: Operation, base: string, found: SchemaCheck): Promise<void> {
  if (answer === undefined || !('schema' in answer)) return;
  const target = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(samples[name] ?? 'x'));
  const response = await fetch(`${base}${target}`);
  expect({ target, status: response.status }).toEqual({ target, status: 200 });
  expect(response.headers.get('content-type')).toBe('application/json');
  checkSchema(await response.json(), answer.schema, SCHEMAS, found, target);
}

describe('the description', () => {
  test('is the same on an agent and, with its own pages added, on a gateway', async () => {
    const ofAgent = await (await fetch(`${agent.url}/openapi.json`)).json();
    const ofGateway = await (await fetch(`${gateway.url}/openapi.json`)).json();
    expect(ofAgent).toMatchObject({ openapi: '3.1.0', info: { title: 'Proconsul', version: '1.8.5' } });
    expect(Object.keys(ofGateway.paths).filter((path) => !(path in ofAgent.paths))).toEqual([
      '/health',
      '/ready',
      '/metrics',
      '/dns-query',
      '/v1/watch',
      '/v1/prometheus/sd',
      '/resolve',
    ]);
    expect(ofGateway).toMatchObject({ paths: ofAgent.paths, components: ofAgent.components });
  });

  test.each(['agent', 'gateway'] as const)('fits every answer of the %s', async (which) => {
    const base = which === 'agent' ? agent.url : gateway.url;
    const found: SchemaCheck = { faults: [], met: new Set() };
    for (const operation of READS) await checkRead(operation, base, found);
    expect(found.faults).toEqual([]);
  });

  test('fits the answers of writes, so that every answer schema is met', async () => {
    const found: SchemaCheck = { faults: [], met: new Set() };
    for (const operation of READS) await checkRead(operation, gateway.url, found);
    const check = (value: unknown, name: keyof typeof ANSWER_SCHEMAS) =>
      checkSchema(value, { $ref: `#/components/schemas/${name}` }, SCHEMAS, found, name);
    check(await put('/v1/session/create', {}), 'CreatedId');
    const value = btoa('v');
    check(await put('/v1/txn', [{ KV: { Verb: 'set', Key: 'k', Value: value } }]), 'TxnAnswer');
    const refused = await fetch(`${gateway.url}/v1/txn`, {
      method: 'PUT',
      body: JSON.stringify([{ KV: { Verb: 'get', Key: 'nothing' } }]),
    });
    expect(refused.status).toBe(409);
    check(await refused.json(), 'TxnAnswer');
    expect(found.faults).toEqual([]);
    const unmet = Object.keys(ANSWER_SCHEMAS).filter((name) => !found.met.has(name));
    // Gossip is not encrypted here, and there are no gateways and no errors to summarise.
    expect(unmet).toEqual(['KeyringEntry']);
  });

  test('the check itself finds what is wrong', () => {
    const found: SchemaCheck = { faults: [], met: new Set() };
    const node = { Node: 1, Extra: true, TaggedAddresses: null, Meta: { a: 'b' } };
    checkSchema([node], { type: 'array', items: { $ref: '#/components/schemas/Node' } }, SCHEMAS, found);
    expect(found.faults).toEqual([
      '$[0].ID is missing',
      '$[0].Address is missing',
      '$[0].Datacenter is missing',
      '$[0].CreateIndex is missing',
      '$[0].ModifyIndex is missing',
      '$[0].Node is 1, not string',
      '$[0].Extra is not described',
    ]);
  });
});
