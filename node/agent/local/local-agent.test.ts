import { beforeEach, describe, expect, it } from 'vitest';
import { ConsulError, noClusterLeader } from '../../../shared/errors.ts';
import { createLogger, formatLogLine } from '../../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../../shared/simulated-env.ts';
import {
  type CheckDefinition,
  EMPTY_CHECK_DEFINITION,
  EMPTY_SERVICE_DEFINITION,
  type ServiceDefinition,
} from '../../../shared/types/definitions.ts';
import { FakeBackend } from '../testing/fake-backend.ts';
import { createLocalAgent } from './local-agent.ts';
import type { LocalAgent, LocalAgentOptions } from './types.ts';

const API = { source: 'api', replaceExistingChecks: false } as const;

let env: SimulatedEnv;
let backend: FakeBackend;
let agent: LocalAgent;
let lines: string[];

function createAgent(fields: Partial<LocalAgentOptions> = {}): LocalAgent {
  const write = (record: Parameters<typeof formatLogLine>[0]) =>
    lines.push(formatLogLine({ ...record, timeMs: 0 }).slice('1970-01-01T00:00:00.000Z '.length));
  return createLocalAgent({
    nodeName: 'n1',
    nodeId: 'id-1',
    nodeAddress: '127.0.0.1',
    taggedAddresses: { lan: '127.0.0.1' },
    nodeMeta: {},
    datacenter: 'dc1',
    dataDir: undefined,
    backend,
    env,
    log: createLogger('agent', [{ wants: (level) => level !== 'DEBUG', write }], () => 0),
    clusterSize: () => 1,
    enableScriptChecks: false,
    enableLocalScriptChecks: false,
    ...fields,
  });
}

beforeEach(async () => {
  env = simulatedEnv(1);
  backend = new FakeBackend();
  lines = [];
  agent = createAgent();
  await agent.start({ services: [], checks: [] });
});

const service = (fields: Partial<ServiceDefinition>): ServiceDefinition => ({
  ...EMPTY_SERVICE_DEFINITION,
  name: 'web',
  ...fields,
});
const check = (fields: Partial<CheckDefinition>): CheckDefinition => ({
  ...EMPTY_CHECK_DEFINITION,
  ...fields,
});
const ttl = (fields: Partial<CheckDefinition> = {}): CheckDefinition => check({ ttlMs: 600_000, ...fields });

async function failure(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    if (error instanceof ConsulError) return `${error.status} ${error.message}`;
    throw error;
  }
  return 'no failure';
}

describe('a service', () => {
  it('gets every default, in wire form and order', async () => {
    await agent.registerService(service({}), API);
    expect(JSON.stringify(agent.services().get('web'))).toBe(
      '{"ID":"web","Service":"web","Tags":[],"Address":"","Meta":null,"Port":0,"Weights":{"Passing":1,"Warning":1},' +
        '"EnableTagOverride":false,"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{},"CreateIndex":0,"ModifyIndex":0}',
    );
  });

  it('keeps what it is given and adds tagged addresses', async () => {
    const given = service({
      id: 'web-1',
      tags: ['primary', 'v1'],
      meta: { version: '1.2.3', empty: '' },
      port: 8080,
      address: '10.1.2.3',
      taggedAddresses: {
        wan: { Address: '198.51.100.4', Port: 80 },
        lan: { Address: '10.1.2.3', Port: 8080 },
      },
      weights: { Passing: 5, Warning: 2 },
      enableTagOverride: true,
      kind: 'mesh-gateway',
      connectNative: true,
    });
    await agent.registerService(given, API);
    expect(JSON.stringify(agent.services().get('web-1'))).toBe(
      '{"Kind":"mesh-gateway","ID":"web-1","Service":"web","Tags":["primary","v1"],"Address":"10.1.2.3","TaggedAddresses":{' +
        '"lan":{"Address":"10.1.2.3","Port":8080},"lan_ipv4":{"Address":"10.1.2.3","Port":8080},' +
        '"wan":{"Address":"198.51.100.4","Port":80},"wan_ipv4":{"Address":"10.1.2.3","Port":8080}},' +
        '"Meta":{"empty":"","version":"1.2.3"},"Port":8080,"Weights":{"Passing":5,"Warning":2},"EnableTagOverride":true,' +
        '"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{"Native":true},"CreateIndex":0,"ModifyIndex":0}',
    );
  });

  it('with an IPv6 address gets the other tags', async () => {
    await agent.registerService(service({ address: '2001:db8::1', port: 1 }), API);
    expect(Object.keys(agent.services().get('web')?.TaggedAddresses ?? {})).toEqual(['lan_ipv6', 'wan_ipv6']);
  });

  it('is in the catalog before the registration is answered', async () => {
    await agent.registerService(service({ checks: [ttl()] }), API);
    expect([...backend.services.keys()]).toEqual(['web']);
    expect([...backend.checks.keys()]).toEqual(['service:web']);
  });

  it('is registered also without a leader', async () => {
    backend.failure = noClusterLeader();
    await agent.registerService(service({}), API);
    expect(agent.services().has('web')).toBe(true);
    expect(lines.at(-1)).toBe('[ERROR] agent: failed to sync changes: service=web error="No cluster leader"');
  });

  it('goes with its checks, here and there', async () => {
    await agent.registerService(service({ checks: [ttl()] }), API);
    await agent.registerCheck(ttl({ name: 'extra', serviceId: 'web' }));
    await agent.deregisterService('web');
    expect(agent.services().size + agent.checks().size).toBe(0);
    expect(backend.services.size + backend.checks.size).toBe(0);
    expect(await failure(agent.updateTtl('extra', 'passing', ''))).toContain('does not have associated TTL');
  });

  it('of a name that DNS cannot carry is registered with a warning', async () => {
    await agent.registerService(service({ name: 'we b', tags: ['under_score'] }), API);
    expect(lines.filter((line) => line.includes('WARN'))).toEqual([
      '[WARN]  agent: Service name will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes.: service="we b"',
      '[WARN]  agent: Service tag will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes.: tag=under_score',
    ]);
  });

  it('wakes its watchers once when it changes or goes, not when it is registered as it was', async () => {
    let woken = 0;
    await agent.registerService(service({}), API);
    agent.onServiceChange('web', () => woken++);
    const cancel = agent.onServiceChange('web', () => (woken += 100));
    cancel();
    await agent.registerService(service({}), API);
    expect(woken).toBe(0);
    await agent.registerService(service({ port: 2 }), API);
    await agent.registerService(service({ port: 3 }), API);
    expect(woken).toBe(1);
    agent.onServiceChange('web', () => woken++);
    await agent.deregisterService('web');
    expect(woken).toBe(2);
  });
});

describe('the checks of a service', () => {
  it('get default IDs, names and status', async () => {
    await agent.registerService(service({ id: 'w1', tags: ['t'], checks: [ttl()] }), API);
    expect(JSON.stringify(agent.checks().get('service:w1'))).toBe(
      `{"Node":"n1","CheckID":"service:w1","Name":"Service 'web' check","Status":"critical","Notes":"","Output":"",` +
        `"ServiceID":"w1","ServiceName":"web","ServiceTags":["t"],"Type":"ttl","Definition":{},"CreateIndex":0,"ModifyIndex":0}`,
    );
    const several = [
      ttl({ status: 'passing' }),
      ttl({ status: 'warning' }),
      ttl({ id: 'third', name: 'named' }),
    ];
    await agent.registerService(service({ id: 'w2', checks: several }), API);
    const statuses = ['service:w2:1', 'service:w2:2', 'third'].map((id) => agent.checks().get(id)?.Status);
    expect(statuses).toEqual(['passing', 'warning', 'critical']);
  });

  it('stay when a registration does not mention them, and go when it is to replace them', async () => {
    const named = (id: string) => ttl({ id, name: id });
    await agent.registerService(service({ checks: [named('a'), named('b')] }), API);
    await agent.registerService(service({ checks: [named('c')] }), API);
    expect([...agent.checks().keys()]).toEqual(['a', 'b', 'c']);
    await agent.registerService(service({ checks: [named('d')] }), {
      source: 'api',
      replaceExistingChecks: true,
    });
    expect([...agent.checks().keys()]).toEqual(['d']);
    expect([...backend.checks.keys()]).toEqual(['d']);
  });

  it('keep status and output when registered again', async () => {
    await agent.registerService(service({ checks: [ttl()] }), API);
    await agent.updateTtl('service:web', 'passing', 'fine');
    await agent.registerService(service({ port: 1, checks: [ttl({ status: 'critical' })] }), API);
    expect(agent.checks().get('service:web')).toMatchObject({ Status: 'passing', Output: 'fine' });
  });

  it('follow the service to another name and other tags', async () => {
    await agent.registerService(service({ checks: [ttl()] }), API);
    await agent.registerService(service({ id: 'web', name: 'other', tags: ['x'] }), API);
    expect(agent.checks().get('service:web')).toMatchObject({ ServiceName: 'other', ServiceTags: ['x'] });
    expect(backend.checks.get('service:web')).toMatchObject({ ServiceName: 'other', ServiceTags: ['x'] });
  });
});

describe('a refused service', () => {
  const invalid = 'Invalid check: ';
  const cases: readonly [string, Partial<ServiceDefinition>, string][] = [
    ['no name', { name: '', id: 'x' }, '400 Missing service name'],
    ['any address', { address: '0.0.0.0' }, '400 Invalid service address'],
    ['any IPv6 address', { address: '[::]' }, '400 Invalid service address'],
    [
      'weight 0',
      { weights: { Passing: 0, Warning: 0 } },
      '400 Invalid Weights: Passing must be greater than 0',
    ],
    [
      'weight -1',
      { weights: { Passing: -1, Warning: 1 } },
      '400 Invalid Weights: Passing must be greater than 0',
    ],
    [
      'warning -1',
      { weights: { Passing: 1, Warning: -1 } },
      '400 Invalid Weights: Warning must be greater or equal than 0',
    ],
    [
      'weight 65536',
      { weights: { Passing: 65_536, Warning: 1 } },
      '400 Invalid Weights: DNS Weight must be between 0 and 65535',
    ],
    [
      'bad key',
      { meta: { 'bad key': 'x' } },
      "400 Invalid Service Meta: Couldn't load metadata pair ('bad key', 'x'): Key contains invalid characters",
    ],
    [
      'blank key',
      { meta: { '': 'x' } },
      "400 Invalid Service Meta: Couldn't load metadata pair ('', 'x'): Key cannot be blank",
    ],
    [
      'reserved key',
      { meta: { 'consul-x': 'y' } },
      "400 Invalid Service Meta: Couldn't load metadata pair ('consul-x', 'y'): Key prefix 'consul-' is reserved for internal use",
    ],
    [
      'long key',
      { meta: { ['k'.repeat(129)]: 'v' } },
      `400 Invalid Service Meta: Couldn't load metadata pair ('${'k'.repeat(129)}', 'v'): Key is too long (limit: 128 characters)`,
    ],
    [
      'long value',
      { meta: { k: 'v'.repeat(513) } },
      `400 Invalid Service Meta: Couldn't load metadata pair ('k', '${'v'.repeat(513)}'): Value is too long (limit: 512 characters)`,
    ],
    [
      '65 pairs',
      { meta: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v'])) },
      '400 Invalid Service Meta: Node metadata cannot contain more than 64 key/value pairs',
    ],
    [
      'no check type',
      { checks: [check({ name: 'no type' })] },
      `400 ${invalid}TTL must be > 0 for TTL checks`,
    ],
    [
      'no interval',
      { checks: [check({ http: 'http://x/' })] },
      `400 ${invalid}Interval must be > 0 for Script, HTTP, or TCP checks`,
    ],
    [
      'interval and TTL',
      { checks: [ttl({ http: 'http://x/', intervalMs: 1 })] },
      `400 ${invalid}Interval and TTL cannot both be specified`,
    ],
    ['one good, one bad', { checks: [ttl(), check({})] }, `400 ${invalid}TTL must be > 0 for TTL checks`],
    [
      'bad status',
      { checks: [ttl({ status: 'fine' })] },
      "400 Status for checks must 'passing', 'warning', 'critical'",
    ],
    [
      'script',
      { checks: [check({ scriptArgs: ['true'], intervalMs: 1 })] },
      "500 Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
    ],
    [
      'tagged address',
      { taggedAddresses: { lan_ipv4: { Address: 'x', Port: 1 } } },
      '500 Service tagged address "lan_ipv4" must be a valid ipv4 address',
    ],
    [
      'proxy without port and target',
      { kind: 'connect-proxy' },
      '400 2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\t* Port must be set for a Connect proxy\n\n',
    ],
    [
      'gateway without port',
      { kind: 'mesh-gateway' },
      '400 1 error occurred:\n\t* Port must be non-zero for a mesh-gateway\n\n',
    ],
    [
      'sidecar with an ID',
      { sidecar: service({ id: 'x', name: '' }) },
      '400 1 error occurred:\n\t* A SidecarService cannot specify an ID as this is managed by the agent\n\n',
    ],
    [
      'sidecar with a bad check',
      { sidecar: service({ name: '', checks: [check({ tcp: 'a:1' })] }) },
      '400 Bad request: Invalid check in sidecar_service: Interval must be > 0 for Script, HTTP, or TCP checks',
    ],
    [
      'docker',
      { checks: [check({ scriptArgs: ['true'], dockerContainerId: 'c', intervalMs: 1 })] },
      "500 Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
    ],
  ];
  it.each(cases)('%s', async (_name, fields, expected) => {
    expect(await failure(agent.registerService(service(fields), API))).toBe(expected);
    expect(agent.services().size + agent.checks().size).toBe(0);
    await env.clock.advanceAsync(0);
    expect(backend.log()).toEqual(['node']);
  });

  it('leaves the one that was there', async () => {
    await agent.registerService(service({ port: 1 }), API);
    await failure(agent.registerService(service({ port: 2, weights: { Passing: 0, Warning: 0 } }), API));
    expect(agent.services().get('web')?.Port).toBe(1);
  });
});

describe('a check of its own', () => {
  it('takes its ID from the name', async () => {
    await agent.registerCheck(ttl({ name: 'two words', notes: 'n' }));
    expect(agent.checks().get('two words')).toMatchObject({ CheckID: 'two words', Type: 'ttl', Notes: 'n' });
    await agent.registerCheck(ttl({ id: 'two words', name: 'renamed', status: 'passing' }));
    expect(agent.checks().get('two words')).toMatchObject({ Name: 'renamed', Status: 'critical' });
  });

  it.each([
    ['no name', ttl({ id: 'x' }), '400 Missing check name'],
    ['bad status', ttl({ name: 'x', status: 'odd' }), '400 Bad check status'],
    ['no type', check({ name: 'x' }), '400 Invalid check: TTL must be > 0 for TTL checks'],
    ['unknown service', ttl({ name: 'x', serviceId: 'none' }), '500 ServiceID "none" does not exist'],
    [
      'script',
      check({ name: 'x', scriptArgs: ['true'], intervalMs: 1 }),
      "500 Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
    ],
  ])('%s is refused', async (_name, definition, expected) => {
    expect(await failure(agent.registerCheck(definition))).toBe(expected);
    expect(agent.checks().size).toBe(0);
  });

  it('that runs in a container is refused clearly where scripts are allowed', async () => {
    agent = createAgent({ enableScriptChecks: true });
    await agent.start({ services: [], checks: [] });
    const docker = check({ name: 'x', scriptArgs: ['true'], dockerContainerId: 'c', intervalMs: 1 });
    expect(await failure(agent.registerCheck(docker))).toMatch(/^500 Docker checks are not supported/);
  });

  it('can be deregistered, also when unknown', async () => {
    await agent.registerCheck(ttl({ name: 'x' }));
    await agent.deregisterCheck('x');
    expect(backend.checks.has('x')).toBe(false);
    await agent.deregisterCheck('x');
    expect(await failure(agent.deregisterCheck(''))).toBe('500 CheckID missing');
    await agent.deregisterService('none');
    expect(await failure(agent.deregisterService(''))).toBe('500 ServiceID missing');
  });
});

describe('a TTL check', () => {
  it('is told by its client and pushed', async () => {
    await agent.registerCheck(ttl({ name: 'x' }));
    await agent.updateTtl('x', 'warning', 'careful');
    await env.clock.advanceAsync(0);
    expect(backend.checks.get('x')).toMatchObject({ Status: 'warning', Output: 'careful' });
  });

  it('expires, telling its last output', async () => {
    await agent.registerCheck(ttl({ name: 'x', ttlMs: 1000, status: 'passing' }));
    await agent.updateTtl('x', 'passing', 'alive');
    await env.clock.advanceAsync(999);
    expect(agent.checks().get('x')?.Status).toBe('passing');
    await env.clock.advanceAsync(1);
    expect(agent.checks().get('x')).toMatchObject({
      Status: 'critical',
      Output: 'TTL expired (last output before timeout follows): alive',
    });
    await agent.updateTtl('x', 'passing', '');
    expect(agent.checks().get('x')).toMatchObject({ Status: 'passing', Output: '' });
  });

  it('is cut to the smaller limit', async () => {
    agent = createAgent({ checkOutputMaxSize: 50 });
    await agent.start({ services: [], checks: [] });
    await agent.registerCheck(ttl({ name: 'x', outputMaxSize: 60 }));
    await agent.updateTtl('x', 'passing', 'p'.repeat(60));
    expect(agent.checks().get('x')?.Output).toBe(`${'p'.repeat(50)} ... (captured 50 of 60 bytes)`);
  });

  it('keeps no output when told so', async () => {
    agent.setDiscardCheckOutput(true);
    await agent.registerCheck(ttl({ name: 'x' }));
    await agent.updateTtl('x', 'passing', 'thrown away');
    expect(agent.checks().get('x')).toMatchObject({ Status: 'passing', Output: '' });
  });

  it.each(['', 'none', 'probe'])('%j has no TTL', async (id) => {
    await agent.registerCheck(check({ name: 'probe', tcp: '127.0.0.1:1', intervalMs: 3_600_000 }));
    expect(await failure(agent.updateTtl(id, 'passing', ''))).toBe(
      `500 CheckID "${id}" does not have associated TTL`,
    );
  });
});

describe('maintenance', () => {
  it('of a service is a critical check with the first reason', async () => {
    await agent.registerService(service({ tags: ['t'] }), API);
    await agent.setServiceMaintenance('web', true, 'upgrade now');
    await agent.setServiceMaintenance('web', true, 'another');
    expect(agent.checks().get('_service_maintenance:web')).toEqual({
      Node: 'n1',
      CheckID: '_service_maintenance:web',
      Name: 'Service Maintenance Mode',
      Status: 'critical',
      Notes: 'upgrade now',
      Output: '',
      ServiceID: 'web',
      ServiceName: 'web',
      ServiceTags: ['t'],
      Type: 'maintenance',
      Definition: {},
      CreateIndex: 0,
      ModifyIndex: 0,
    });
    expect(backend.checks.has('_service_maintenance:web')).toBe(true);
    await agent.setServiceMaintenance('web', false, '');
    await agent.setServiceMaintenance('web', false, '');
    expect(agent.checks().size + backend.checks.size).toBe(0);
    await agent.setServiceMaintenance('web', true, '');
    expect(agent.checks().get('_service_maintenance:web')?.Notes).toBe(
      'Maintenance mode is enabled for this service, but no reason was provided. This is a default message.',
    );
    expect(await failure(agent.setServiceMaintenance('none', true, ''))).toBe(
      '404 No service registered with ID "none"',
    );
  });

  it('of the node likewise', async () => {
    await agent.setNodeMaintenance(true, '');
    expect(agent.checks().get('_node_maintenance')).toMatchObject({
      Name: 'Node Maintenance Mode',
      ServiceID: '',
      Notes:
        'Maintenance mode is enabled for this node, but no reason was provided. This is a default message.',
    });
    await agent.setNodeMaintenance(false, '');
    expect(agent.checks().size).toBe(0);
    expect(lines.filter((line) => line.includes('maintenance mode'))).toEqual([
      '[INFO]  agent: Node entered maintenance mode',
      '[INFO]  agent: Node left maintenance mode',
    ]);
  });
});

describe('an alias check', () => {
  it('follows the service that it stands for', async () => {
    await agent.registerService(
      service({ name: 'back', checks: [ttl({ id: 'b', status: 'passing' })] }),
      API,
    );
    await agent.registerService(
      service({ name: 'front', checks: [check({ id: 'f', aliasService: 'back' })] }),
      API,
    );
    const shown = async () => {
      await env.clock.advanceAsync(0);
      const { Status, Output, Type } = agent.checks().get('f') ?? {};
      return `${Type} ${Status} ${Output}`;
    };
    expect(await shown()).toBe('alias passing All checks passing.');
    await agent.updateTtl('b', 'warning', '');
    expect(await shown()).toBe(`alias warning Aliased check "Service 'back' check" failing: `);
    await agent.updateTtl('b', 'critical', 'down');
    expect(await shown()).toBe(`alias critical Aliased check "Service 'back' check" failing: down`);
    await agent.deregisterService('back');
    expect(await shown()).toBe('alias critical Service back could not be found on node n1');
  });
});

describe('a sidecar', () => {
  const withSidecar = (name: string, sidecar: Partial<ServiceDefinition> = {}) =>
    service({ name, port: 80, tags: ['t'], sidecar: service({ name: '', ...sidecar }) });

  it('is registered and removed with its service', async () => {
    await agent.registerService(withSidecar('web'), API);
    expect(agent.services().get('web-sidecar-proxy')).toMatchObject({
      Kind: 'connect-proxy',
      Service: 'web-sidecar-proxy',
      Port: 21_000,
      Tags: ['t'],
      Proxy: {
        DestinationServiceName: 'web',
        DestinationServiceID: 'web',
        LocalServiceAddress: '127.0.0.1',
        LocalServicePort: 80,
        MeshGateway: {},
        Expose: {},
      },
    });
    const [listening, alias] = ['1', '2'].map((n) => agent.checks().get(`service:web-sidecar-proxy:${n}`));
    expect([listening?.Name, listening?.Type]).toEqual(['Connect Sidecar Listening', 'tcp']);
    expect([alias?.Name, alias?.Type]).toEqual(['Connect Sidecar Aliasing web', 'alias']);
    await agent.registerService(withSidecar('db'), API);
    await agent.registerService(withSidecar('web'), API);
    expect(agent.services().get('db-sidecar-proxy')?.Port).toBe(21_001);
    expect(agent.services().get('web-sidecar-proxy')?.Port).toBe(21_000);
    await agent.deregisterService('web');
    expect([...agent.services().keys()]).toEqual(['db', 'db-sidecar-proxy']);
    expect([...backend.services.keys()].sort()).toEqual(['db', 'db-sidecar-proxy']);
  });

  it('needs a port', async () => {
    agent = createAgent({ sidecarPorts: { min: 21_000, max: 21_000 } });
    await agent.start({ services: [], checks: [] });
    await agent.registerService(withSidecar('a'), API);
    expect(await failure(agent.registerService(withSidecar('b'), API))).toBe(
      '400 Bad request: Invalid SidecarService: no port provided for sidecar_service and none left in the configured range [21000, 21000]',
    );
    expect(agent.services().has('b')).toBe(false);
    await agent.registerService(withSidecar('b', { port: 9 }), API);
    expect(agent.services().get('b-sidecar-proxy')?.Port).toBe(9);
  });
});

describe('the reaper', () => {
  it('deregisters a service that has been critical for too long', async () => {
    const dying = ttl({ ttlMs: 1000, deregisterCriticalServiceAfterMs: 90_000 });
    await agent.registerService(service({ checks: [dying] }), API);
    await env.clock.advanceAsync(90_000);
    expect(agent.services().has('web')).toBe(true);
    await env.clock.advanceAsync(31_000);
    expect(agent.services().has('web')).toBe(false);
    expect(backend.services.has('web')).toBe(false);
    expect(lines.at(-1)).toBe(
      '[INFO]  agent: Check for service has been critical for too long; deregistered service: service=web check=service:web',
    );
  });

  it('spares one that recovered, and raises short limits', async () => {
    const nervous = ttl({ ttlMs: 40_000, deregisterCriticalServiceAfterMs: 1 });
    await agent.registerService(service({ checks: [nervous] }), API);
    expect(lines).toContain(
      '[WARN]  agent: check has deregister interval below minimum: check=service:web minimum_interval=1m0s',
    );
    await env.clock.advanceAsync(95_000);
    await agent.updateTtl('service:web', 'passing', '');
    await env.clock.advanceAsync(39_000);
    expect(agent.services().has('web')).toBe(true);
  });
});

describe('definitions from files', () => {
  const files = (...names: string[]) => ({
    services: names.map((name) => service({ name, checks: [ttl()] })),
    checks: [],
  });

  it('are registered at the start', async () => {
    agent = createAgent();
    await agent.start({
      services: [
        service({
          id: 'conf-1',
          name: 'conf',
          address: '0.0.0.0',
          checks: [ttl({ id: 'c', status: 'passing' })],
        }),
      ],
      checks: [ttl({ id: 'node', name: 'of the node' }), ttl({ name: 'bound', serviceId: 'conf-1' })],
    });
    expect([...agent.services().keys()]).toEqual(['conf-1']);
    expect(agent.checks().get('c')).toMatchObject({ Status: 'passing', Type: 'ttl' });
    expect(agent.checks().get('node')?.Type).toBe('');
    expect(agent.checks().get('bound')?.ServiceName).toBe('conf');
  });

  it.each([
    [
      { services: [service({ name: '' })], checks: [] },
      '500 Failed to register service "": Service name missing',
    ],
    [
      {
        services: [service({ name: 'a', checks: [check({ scriptArgs: ['x'], intervalMs: 1 })] })],
        checks: [],
      },
      `500 Failed to register service "a": Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true`,
    ],
    [
      { services: [service({ name: 'a', checks: [check({ tcp: 'x:1' })] })], checks: [] },
      '500 Failed to validate checks for service "a": Interval must be > 0 for Script, HTTP, or TCP checks',
    ],
    [
      { services: [], checks: [ttl({ name: 'x', serviceId: 'zz' })] },
      `500 Failed to register check 'x': ServiceID "zz" does not exist`,
    ],
    [
      { services: [], checks: [check({ name: 'x' })] },
      `500 Failed to register check 'x': Check is not valid: TTL must be > 0 for TTL checks`,
    ],
  ])('that are bad stop the start: %#', async (definitions, expected) => {
    agent = createAgent();
    expect(await failure(agent.start(definitions))).toBe(expected);
  });

  it('are replaced by a reload; what stays keeps its status, what came by the API stays', async () => {
    agent = createAgent();
    await agent.start(files('stays', 'goes'));
    await agent.registerService(service({ name: 'api' }), API);
    await agent.updateTtl('service:stays', 'passing', 'up');
    await env.clock.advanceAsync(0);
    backend.writes.length = 0;
    agent.pauseSync();
    await agent.reloadDefinitions(files('stays', 'new'));
    agent.resumeSync();
    await env.clock.advanceAsync(0);
    expect([...agent.services().keys()]).toEqual(['stays', 'api', 'new']);
    expect(agent.checks().get('service:stays')).toMatchObject({ Status: 'passing', Output: 'up' });
    expect(backend.log().sort()).toEqual(['deregister goes', 'register new+service:new']);
  });

  it('that change on reload keep the status of their checks', async () => {
    agent = createAgent();
    await agent.start(files('a'));
    await agent.updateTtl('service:a', 'passing', 'up');
    await agent.reloadDefinitions({
      services: [service({ name: 'a', port: 5, checks: [ttl({ notes: 'x' })] })],
      checks: [],
    });
    expect(agent.services().get('a')?.Port).toBe(5);
    expect(agent.checks().get('service:a')).toMatchObject({ Status: 'passing', Output: 'up', Notes: 'x' });
  });

  it('change nothing when one of them is bad', async () => {
    agent = createAgent();
    await agent.start(files('a'));
    const bad = { services: [...files('b').services, service({ name: '' })], checks: [] };
    expect(await failure(agent.reloadDefinitions(bad))).toContain('Service name missing');
    expect([...agent.services().keys()]).toEqual(['a']);
  });
});

it('tells new node metadata', async () => {
  await env.clock.advanceAsync(0);
  agent.setNodeMeta({ rack: 'r1' });
  await env.clock.advanceAsync(0);
  expect(backend.node?.Meta).toEqual({ 'consul-network-segment': '', rack: 'r1' });
});

it('sends its coordinate at the rate of the cluster', async () => {
  const coordinate = { Vec: [1, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 0.1 };
  agent = createAgent({ coordinate: () => coordinate });
  await agent.start({ services: [], checks: [] });
  await env.clock.advanceAsync(14_999);
  expect(backend.log()).not.toContain('Coordinate.Update');
  await env.clock.advanceAsync(15_001);
  expect(backend.writes.at(-1)).toMatchObject({
    name: 'Coordinate.Update',
    args: { node: 'n1', coordinate },
  });
  await agent.stop();
  const before = backend.writes.length;
  await env.clock.advanceAsync(300_000);
  expect(backend.writes).toHaveLength(before);
});

it('sends its first coordinate sooner where that is wanted, and others as ever', async () => {
  const coordinate = { Vec: [1, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 0.1 };
  agent = createAgent({ coordinate: () => coordinate, coordinateDelayMs: 100 });
  await agent.start({ services: [], checks: [] });
  const sent = () => backend.log().filter((line) => line.includes('Coordinate.Update')).length;
  await env.clock.advanceAsync(100);
  expect(sent()).toBe(1);
  await env.clock.advanceAsync(14_999);
  expect(sent()).toBe(1);
  await env.clock.advanceAsync(15_001);
  expect(sent()).toBe(2);
});

it('counts what it has', async () => {
  await agent.registerService(service({ checks: [ttl()] }), API);
  await agent.registerCheck(check({ name: 'p', tcp: '127.0.0.1:1', intervalMs: 3_600_000 }));
  expect(agent.stats()).toEqual({ check_monitors: 0, check_ttls: 1, checks: 2, services: 1 });
});
