/** An agent and the real state: what a gateway asks of it, what the leader decides about it. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toConsulError } from '../../../shared/errors.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { SimulatedEnv } from '../../../shared/simulated-env.ts';
import {
  type CheckDefinition,
  EMPTY_CHECK_DEFINITION,
  EMPTY_SERVICE_DEFINITION,
  type ServiceDefinition,
} from '../../../shared/types/definitions.ts';
import type { Backend, ReadOptions } from '../../rpc/backend.ts';
import type { ReadEndpoint, WriteEndpoint } from '../../rpc/endpoint.ts';
import { catalogRegister, healthServiceNodes } from '../../rpc/endpoints.ts';
import { floatingAssign, floatingList } from '../../rpc/floating-endpoints.ts';
import { Harness } from '../../server/endpoints/harness.ts';
import { check, healthArgs, registration } from '../../server/endpoints/samples.ts';
import { createLocalAgent } from '../local/local-agent.ts';
import type { LocalAgent, LocalAgentOptions } from '../local/types.ts';

const FLOATING = { source: 'api', replaceExistingChecks: false, isFloating: true } as const;
const DIRECT = { source: 'api', replaceExistingChecks: false } as const;

let harness: Harness;
let env: SimulatedEnv;
let agents: LocalAgent[];
let folder: string;

/** Calls the state at once; waits as servers do. */
const backend: Backend = {
  async read<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args, options: ReadOptions) {
    const { minIndex = 0, waitMs = 0, signal } = options;
    const endMs = env.clock.monotonicMs() + waitMs;
    let result = harness.read(endpoint, args);
    while (minIndex > 0 && result.index <= minIndex && env.clock.monotonicMs() < endMs) {
      await new Promise<void>((resolve) => {
        harness.store.watch(result.topics, resolve);
        env.clock.setTimer(endMs - env.clock.monotonicMs(), resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
      if (signal?.aborted === true) throw new Error('stopped');
      result = harness.read(endpoint, args);
    }
    return { value: result.value, meta: { index: result.index, knownLeader: true, lastContactMs: 0 } };
  },
  readJson: () => Promise.reject(new Error('not used')),
  readLocal: () => undefined,
  async write<Args, Result>(endpoint: WriteEndpoint<Args, Result>, args: Args) {
    return harness.write(endpoint, args);
  },
};

async function startAgent(nodeName: string, rest: Partial<LocalAgentOptions> = {}): Promise<LocalAgent> {
  const agent = createLocalAgent({
    nodeName,
    nodeId: '',
    nodeAddress: '127.0.0.1',
    taggedAddresses: {},
    nodeMeta: {},
    datacenter: 'dc1',
    dataDir: undefined,
    backend,
    env,
    log: silentLogger,
    clusterSize: () => 3,
    enableScriptChecks: false,
    enableLocalScriptChecks: false,
    ...rest,
  });
  agents.push(agent);
  await agent.start({ services: [], checks: [] });
  return agent;
}

let n1: LocalAgent;
let n2: LocalAgent;

beforeEach(async () => {
  harness = new Harness();
  env = harness.env;
  agents = [];
  folder = mkdtempSync(join(tmpdir(), 'proconsul-carrier-'));
  for (const node of ['n1', 'n2'])
    harness.write(catalogRegister, registration(node, { Check: check('serfHealth', 'passing') }));
  n1 = await startAgent('n1', { dataDir: folder });
  n2 = await startAgent('n2');
  await settle();
});

afterEach(async () => {
  for (const agent of agents) await agent.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Long enough for what was told to arrive and for the pause between two lists. */
const settle = () => env.clock.advanceAsync(300);

const ttl = (rest: Partial<CheckDefinition> = {}): CheckDefinition => ({
  ...EMPTY_CHECK_DEFINITION,
  id: 'alive',
  name: 'alive',
  ttlMs: 60_000,
  ...rest,
});
const web = (rest: Partial<ServiceDefinition> = {}): ServiceDefinition => ({
  ...EMPTY_SERVICE_DEFINITION,
  name: 'web',
  checks: [ttl()],
  ...rest,
});
const catalog = () =>
  harness
    .value(healthServiceNodes, healthArgs('web'))
    .map(({ Node, Checks }) =>
      [
        Node.Node,
        ...Checks.filter(({ ServiceID }) => ServiceID !== '').map((c) => `${c.CheckID}=${c.Status}`),
      ].join(' '),
    );
const statuses = (agent: LocalAgent) => [...agent.checks().values()].map((c) => `${c.CheckID}=${c.Status}`);
const generation = () => harness.value(floatingList, {})[0]?.generation ?? 0;

async function move(node: string): Promise<void> {
  harness.write(floatingAssign, { moves: [{ id: 'web', generation: generation(), node }] });
  await settle();
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no failure',
    (error: unknown) => toConsulError(error).message,
  );
}

describe('registering', () => {
  it('is committed and known here when it is answered', async () => {
    await n1.registerService(web(), FLOATING);
    expect([...n1.services().keys()]).toEqual(['web']);
    expect(catalog()).toEqual(['n1 alive=critical']);
  });

  it('writes nothing to the disk, heartbeats included', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.updateTtl('alive', 'passing', 'well');
    await n1.stop();
    const files = readdirSync(folder, { recursive: true, withFileTypes: true });
    expect(files.filter((entry) => entry.isFile())).toEqual([]);
  });

  it('again changes the service and keeps checks that were added, unless they are to go', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.registerCheck(ttl({ id: 'more', serviceId: 'web', status: 'warning' }));
    await n1.updateTtl('alive', 'passing', '');
    await n1.registerService(web({ port: 81 }), FLOATING);
    await settle();
    expect(catalog()).toEqual(['n1 alive=passing more=warning']);
    expect(n1.services().get('web')?.Port).toBe(81);
    await n1.registerService(web(), { ...FLOATING, replaceExistingChecks: true });
    await settle();
    expect([catalog(), statuses(n1)]).toEqual([['n1 alive=passing'], ['alive=passing']]);
  });

  it('leaves a service alone that is this agent’s own', async () => {
    await n1.registerService(web(), DIRECT);
    await n1.registerService(web({ port: 81 }), FLOATING);
    expect(harness.value(floatingList, {})).toEqual([]);
    expect(n1.services().get('web')?.Port).toBe(81);
  });

  it('directly makes a floating service this agent’s own', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.registerService(web({ port: 81 }), DIRECT);
    await settle();
    expect(harness.value(floatingList, {})).toEqual([]);
    expect([catalog(), n1.services().get('web')?.Port]).toEqual([['n1 alive=critical'], 81]);
    expect(readdirSync(join(folder, 'services'))).toHaveLength(1);
  });

  it('waits until the leader has noticed that the agent is back', async () => {
    harness.write(catalogRegister, registration('n1', { Check: check('serfHealth', 'critical') }));
    const registered = n1.registerService(web(), FLOATING);
    await settle();
    harness.write(catalogRegister, registration('n1', { Check: check('serfHealth', 'passing') }));
    await settle();
    await registered;
    expect(catalog()).toEqual(['n1 alive=critical']);
    harness.write(catalogRegister, registration('n2', { Check: check('serfHealth', 'critical') }));
    const refused = failure(n2.registerService(web(), FLOATING));
    await env.clock.advanceAsync(6000);
    expect(await refused).toMatch(/is not known to be alive/);
  });
});

describe('moving', () => {
  it('goes on with the last status, and the TTL begins anew', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.updateTtl('alive', 'warning', 'slow');
    await settle();
    await env.clock.advanceAsync(50_000);
    await move('n2');
    expect([statuses(n1), statuses(n2), catalog()]).toEqual([[], ['alive=warning'], ['n2 alive=warning']]);
    await env.clock.advanceAsync(50_000);
    expect(catalog()).toEqual(['n2 alive=warning']);
    await n2.updateTtl('alive', 'passing', '');
    await settle();
    expect(catalog()).toEqual(['n2 alive=passing']);
    await env.clock.advanceAsync(61_000);
    expect(catalog()).toEqual(['n2 alive=critical']);
  });

  it('back and forth takes the status of the carrier between', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.updateTtl('alive', 'warning', '');
    await settle();
    await move('n2');
    await n2.updateTtl('alive', 'passing', '');
    await settle();
    await move('n1');
    expect([statuses(n1), statuses(n2), catalog()]).toEqual([['alive=passing'], [], ['n1 alive=passing']]);
  });

  it('takes maintenance mode and added checks along', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.setServiceMaintenance('web', true, 'work');
    await n1.registerCheck(ttl({ id: 'more', serviceId: 'web' }));
    await n1.deregisterCheck('alive');
    await move('n2');
    expect(catalog()).toEqual(['n2 _service_maintenance:web=critical more=critical']);
    await n2.setServiceMaintenance('web', false, '');
    expect(catalog()).toEqual(['n2 more=critical']);
  });

  it('takes a sidecar along', async () => {
    const sidecar = { ...EMPTY_SERVICE_DEFINITION, checks: [] };
    await n1.registerService(web({ port: 80, sidecar }), FLOATING);
    expect([...n1.services().keys()]).toEqual(['web', 'web-sidecar-proxy']);
    await move('n2');
    expect([[...n1.services().keys()], [...n2.services().keys()]]).toEqual([
      [],
      ['web', 'web-sidecar-proxy'],
    ]);
    await n2.deregisterService('web');
    expect([...n2.services().keys()]).toEqual([]);
  });

  it('keeps the last status of a script that the next agent must not run', async () => {
    await n1.stop();
    n1 = await startAgent('n1', { enableScriptChecks: true });
    const script = ttl({ ttlMs: 0, scriptArgs: ['/bin/true'], intervalMs: 3_600_000, status: 'passing' });
    await n1.registerService(web({ checks: [script] }), FLOATING);
    await move('n2');
    await env.clock.advanceAsync(120_000);
    expect(catalog()).toEqual(['n2 alive=passing']);
  });

  it('is over when the configuration of the carrier names such a service', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.updateTtl('alive', 'passing', '');
    await n1.reloadDefinitions({ services: [web({ port: 99 })], checks: [] });
    await env.clock.advanceAsync(20_000);
    expect(harness.value(floatingList, {})).toEqual([]);
    expect([n1.services().get('web')?.Port, catalog()]).toEqual([99, ['n1 alive=passing']]);
  });
});

describe('restarting', () => {
  it('learns what is placed here from the servers', async () => {
    await n1.registerService(web(), FLOATING);
    await n1.updateTtl('alive', 'passing', '');
    await settle();
    await n1.stop();
    n1 = await startAgent('n1', { dataDir: folder });
    await settle();
    await env.clock.advanceAsync(30_000);
    expect([statuses(n1), catalog()]).toEqual([['alive=passing'], ['n1 alive=passing']]);
  });
});

describe('deregistering', () => {
  it('removes a service that another agent carries when the virtual agent is meant', async () => {
    await n1.registerService(web(), FLOATING);
    await n2.deregisterService('web');
    expect(catalog()).toHaveLength(1);
    await n2.deregisterService('web', { isFloating: true });
    await settle();
    expect([catalog(), [...n1.services().keys()]]).toEqual([[], []]);
    await env.clock.advanceAsync(130_000);
    expect(catalog()).toEqual([]);
  });

  it('happens to a service that was critical for too long', async () => {
    const checks = [ttl({ ttlMs: 10_000, deregisterCriticalServiceAfterMs: 60_000 })];
    await n1.registerService(web({ checks }), FLOATING);
    await env.clock.advanceAsync(15_000);
    expect(catalog()).toEqual(['n1 alive=critical']);
    await env.clock.advanceAsync(110_000);
    expect(catalog()).toEqual([]);
  });
});
