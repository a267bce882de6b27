import { beforeEach, describe, expect, it } from 'vitest';
import { sleep } from '../../../shared/env.ts';
import { noClusterLeader, permissionDenied, refused } from '../../../shared/errors.ts';
import { createLogger, formatLogLine, type Logger, type LogRecord } from '../../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../../shared/simulated-env.ts';
import { EMPTY_PROXY, type Service } from '../../../shared/types/v1.ts';
import { LocalState } from '../local/local-state.ts';
import { FakeBackend } from '../testing/fake-backend.ts';
import { type AntiEntropy, createAntiEntropy } from './driver.ts';
import { scaleFactor } from './timing.ts';

const node = {
  nodeName: 'n1',
  nodeId: 'id-1',
  nodeAddress: '127.0.0.1',
  taggedAddresses: { lan: '127.0.0.1' },
  nodeMeta: { 'consul-network-segment': '' },
  datacenter: 'dc1',
};

let env: SimulatedEnv;
let backend: FakeBackend;
let state: LocalState;
let sync: AntiEntropy;
let lines: string[];

beforeEach(() => {
  env = simulatedEnv(1);
  backend = new FakeBackend();
  state = new LocalState();
  lines = [];
  sync = createSync(1, 300_000);
});

function createSync(
  clusterSize: number,
  checkUpdateIntervalMs: number,
  fullSyncIntervalMs = 60_000,
): AntiEntropy {
  return createAntiEntropy({
    env,
    log: collectingLog(),
    backend,
    state,
    node: () => node,
    clusterSize: () => clusterSize,
    fullSyncIntervalMs,
    checkUpdateIntervalMs,
    agentToken: () => 'agent',
    defaultToken: () => 'default',
    onMisplaced: () => {},
  });
}

function collectingLog(): Logger {
  const write = (record: LogRecord) => {
    lines.push(formatLogLine({ ...record, timeMs: 0 }).slice('1970-01-01T00:00:00.000Z '.length));
  };
  return createLogger('agent', [{ wants: (level) => level !== 'DEBUG', write }], () => 0);
}

function setService(id: string, fields: Partial<Service> = {}, token = ''): void {
  const service: Service = {
    ID: id,
    Service: id,
    Tags: [],
    Address: '',
    Meta: null,
    Port: 0,
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    Proxy: EMPTY_PROXY,
    Connect: {},
    CreateIndex: 0,
    ModifyIndex: 0,
    ...fields,
  };
  state.setService({ service, token, source: 'api', isSidecar: false });
}

function setCheck(id: string, serviceId = '', status = 'critical'): void {
  const service = state.services().get(serviceId);
  state.setCheck({
    check: {
      Node: 'n1',
      CheckID: id,
      Name: id,
      Status: status,
      Notes: '',
      Output: '',
      ServiceID: serviceId,
      ServiceName: service?.Service ?? '',
      ServiceTags: service?.Tags ?? [],
      Type: 'ttl',
      Definition: {},
      CreateIndex: 0,
      ModifyIndex: 0,
    },
    definition: undefined,
    token: '',
    source: 'api',
    criticalSinceMs: undefined,
  });
}

const settle = () => env.clock.advanceAsync(0);

describe('the first full sync', () => {
  it('registers what was restored and removes what is unknown', async () => {
    setService('web');
    setCheck('c', 'web');
    backend.services.set('old', { ...structuredClone(state.services().get('web') as Service), ID: 'old' });
    backend.node = {
      ID: 'id-1',
      Node: 'n1',
      Address: '',
      Datacenter: 'dc1',
      TaggedAddresses: { lan: '127.0.0.1' },
      Meta: { 'consul-network-segment': '' },
      CreateIndex: 1,
      ModifyIndex: 1,
    };
    sync.start();
    await settle();
    expect(backend.log()).toEqual(['register web+c', 'deregister old']);
    expect([...backend.services.keys()]).toEqual(['web']);
    expect(lines).toEqual([
      '[INFO]  agent: Synced service: service=web',
      '[INFO]  agent: Synced check: check=c',
      '[INFO]  agent: Deregistered service: service=old',
    ]);
  });

  it('leaves alone what the catalog has already', async () => {
    setService('web');
    sync.start();
    await settle();
    const again = new FakeBackend();
    Object.assign(again, { node: backend.node });
    for (const [id, service] of backend.services) again.services.set(id, service);
    backend = again;
    sync.stop();
    state = new LocalState();
    sync = createSync(1, 300_000);
    setService('web');
    sync.start();
    await settle();
    expect(again.log()).toEqual([]);
  });

  it('tells the node itself when there is nothing else', async () => {
    sync.start();
    await settle();
    expect(backend.log()).toEqual(['node']);
    expect(backend.node?.ID).toBe('id-1');
    expect(lines).toEqual(['[INFO]  agent: Synced node info']);
  });

  it('sends the node with the first registration only', async () => {
    setService('a');
    sync.start();
    await settle();
    setService('b');
    await settle();
    expect(backend.log()).toEqual(['register a', 'register b']);
    const skips = backend.writes.map(({ args }) => Reflect.get(args as object, 'SkipNodeUpdate'));
    expect(skips).toEqual([false, true]);
  });
});

describe('full syncs', () => {
  it('repeat within one to two intervals and repair the catalog', async () => {
    setService('web');
    sync.start();
    await settle();
    backend.services.clear();
    await env.clock.advanceAsync(59_000);
    expect(backend.services.size).toBe(0);
    await env.clock.advanceAsync(61_000);
    expect([...backend.services.keys()]).toEqual(['web']);
  });

  it('come less often in a larger cluster', async () => {
    expect([1, 128, 129, 256, 257, 512, 513, 1024].map(scaleFactor)).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    sync.stop();
    sync = createSync(1024, 300_000);
    sync.start();
    await settle();
    const before = backend.reads;
    await env.clock.advanceAsync(239_000);
    expect(backend.reads).toBe(before);
    await env.clock.advanceAsync(241_000);
    expect(backend.reads).toBeGreaterThan(before);
  });

  it('are retried 15 to 30 s after a failure', async () => {
    backend.failure = noClusterLeader();
    setService('web');
    sync.start();
    await settle();
    expect(lines).toEqual(['[ERROR] agent: failed to sync remote state: error="No cluster leader"']);
    backend.failure = undefined;
    await env.clock.advanceAsync(14_999);
    expect(backend.services.size).toBe(0);
    await env.clock.advanceAsync(15_001);
    expect(backend.services.size).toBe(1);
  });

  it('do not trust a server that knows no leader', async () => {
    backend.knownLeader = false;
    setService('web');
    sync.start();
    await settle();
    expect(lines).toEqual(['[ERROR] agent: failed to sync remote state: error="No cluster leader"']);
    expect(backend.log()).toEqual([]);
  });

  it('follow within 3 s when a server joins', async () => {
    backend.failure = noClusterLeader();
    setService('web');
    sync.start();
    await settle();
    backend.failure = undefined;
    sync.serverJoined();
    await env.clock.advanceAsync(3_000);
    expect(backend.services.size).toBe(1);
  });

  it('stop with the agent', async () => {
    sync.start();
    await settle();
    sync.stop();
    const before = backend.reads;
    await env.clock.advanceAsync(600_000);
    expect(backend.reads).toBe(before);
  });
});

describe('changes', () => {
  beforeEach(async () => {
    sync.start();
    await settle();
    backend.writes.length = 0;
  });

  it('of one turn travel together', async () => {
    setService('web');
    setCheck('a', 'web');
    setCheck('b', 'web');
    state.removeCheck('b');
    await settle();
    expect(backend.log()).toEqual(['register web+a', 'deregister check:b']);
  });

  it('are pushed before the one who made them is answered', async () => {
    setService('web');
    await sync.pushed(['web'], []);
    expect([...backend.services.keys()]).toEqual(['web']);
  });

  it('of many at once are concurrent within the bound', async () => {
    let open = () => {};
    backend.gate = new Promise((resolve) => {
      open = resolve;
    });
    const ids = Array.from({ length: 200 }, (_, i) => `s${i}`);
    for (const id of ids) setService(id);
    const pushed = sync.pushed(ids, []);
    await settle();
    expect(backend.inFlight).toBe(64);
    open();
    await pushed;
    expect(backend.maxInFlight).toBe(64);
    expect(backend.services.size).toBe(200);
  });

  it('of a status go at once, of the output alone later', async () => {
    setCheck('mem', '', 'passing');
    await settle();
    backend.writes.length = 0;
    state.report('mem', { status: 'passing', output: 'one' }, 0);
    await env.clock.advanceAsync(149_000);
    expect(backend.log()).toEqual([]);
    state.report('mem', { status: 'passing', output: 'two' }, 0);
    await env.clock.advanceAsync(301_000);
    expect(backend.log()).toEqual(['register check:mem']);
    expect(backend.checks.get('mem')?.Output).toBe('two');
    state.report('mem', { status: 'warning', output: 'three' }, 0);
    await settle();
    expect(backend.checks.get('mem')?.Status).toBe('warning');
  });

  it('of the output take the way of a status change that follows', async () => {
    setCheck('mem', '', 'passing');
    await settle();
    backend.writes.length = 0;
    state.report('mem', { status: 'passing', output: 'one' }, 0);
    state.report('mem', { status: 'critical', output: 'two' }, 0);
    await env.clock.advanceAsync(500_000);
    expect(backend.log()).toEqual(['register check:mem']);
  });

  it('of the output go at once when the interval is 0', async () => {
    sync.stop();
    state = new LocalState();
    sync = createSync(1, 0);
    setCheck('mem', '', 'passing');
    sync.start();
    await settle();
    state.report('mem', { status: 'passing', output: 'one' }, 0);
    await settle();
    expect(backend.checks.get('mem')?.Output).toBe('one');
  });

  it('wait while paused; the resume brings them with a full sync', async () => {
    sync.pause();
    setService('web');
    await sync.pushed(['web'], []);
    await settle();
    expect(backend.log()).toEqual([]);
    sync.resume();
    await settle();
    expect(backend.log()).toEqual(['register web']);
  });

  it('use the token of the item', async () => {
    setService('mine', {}, 'secret');
    setService('plain');
    await settle();
    expect(backend.writes.map((write) => write.token)).toEqual(['secret', 'default']);
  });

  it('are answered and kept when nobody answers; one request probes, the retry brings them all', async () => {
    backend.failure = noClusterLeader();
    setService('a');
    setService('b');
    await sync.pushed(['a', 'b'], []);
    backend.writes.length = 0;
    setService('c');
    await sync.pushed(['c'], []);
    expect(backend.writes).toHaveLength(1);
    expect(lines.at(-1)).toMatch(
      /\[ERROR\] agent: failed to sync changes: service=\w error="No cluster leader"/,
    );
    backend.failure = undefined;
    await env.clock.advanceAsync(30_000);
    expect([...backend.services.keys()].sort()).toEqual(['a', 'b', 'c']);
  });

  it('that ACLs forbid are told once and not repeated', async () => {
    backend.refuse = ({ name }) => (name === 'Catalog.Register' ? permissionDenied() : undefined);
    setCheck('mem');
    await sync.pushed([], ['mem']);
    expect(lines.at(-1)).toBe('[WARN]  agent: Check registration blocked by ACLs: check=mem');
    backend.writes.length = 0;
    setCheck('other');
    await settle();
    expect(backend.log()).toEqual(['register check:other']);
  });

  it('that are refused do not hold up the others', async () => {
    backend.refuse = ({ args }) =>
      (args as { Service?: { ID: string } | null }).Service?.ID === 'bad' ? refused('no') : undefined;
    setService('bad');
    setService('good');
    await sync.pushed(['bad', 'good'], []);
    expect([...backend.services.keys()]).toEqual(['good']);
    expect(lines).toContain('[ERROR] agent: failed to sync changes: service=bad error=no');
  });

  it('of a check bring its service back when the catalog lost it', async () => {
    setService('web');
    setCheck('c', 'web');
    await settle();
    backend.services.clear();
    backend.checks.clear();
    state.report('c', { status: 'passing', output: '' }, 0);
    await settle();
    expect([...backend.services.keys()]).toEqual(['web']);
    expect(backend.checks.get('c')?.Status).toBe('passing');
  });
});

it('takes over tags from the catalog for services that allow it', async () => {
  setService('web', { Tags: ['mine'], EnableTagOverride: true });
  sync.start();
  await settle();
  const held = backend.services.get('web') as Service;
  backend.services.set('web', { ...held, Tags: ['theirs'] });
  let woken = 0;
  state.onServiceChange('web', () => woken++);
  await env.clock.advanceAsync(120_000);
  expect(state.services().get('web')?.Tags).toEqual(['theirs']);
  expect(backend.services.get('web')?.Tags).toEqual(['theirs']);
  expect(woken).toBe(1);
});

/** Random changes of few services and checks, so that they get into each other's way while requests are slow. */
async function changeAtRandom(steps: number): Promise<void> {
  const { clock, random } = env;
  const below = (bound: number) => Math.floor(random.next() * bound);
  backend.delay = () => sleep(clock, below(200));
  for (let step = 0; step < steps; step++) {
    const id = `s${below(2)}`;
    const checkId = `${id}-c${below(2)}`;
    const choice = below(5);
    if (choice === 0) setService(id, { Port: below(3) });
    else if (choice === 1) state.removeService(id);
    else if (choice === 2 && state.services().has(id)) setCheck(checkId, id);
    else if (choice === 3) state.removeCheck(checkId);
    else state.report(checkId, { status: below(2) === 0 ? 'passing' : 'critical', output: `${step}` }, 0);
    await clock.advanceAsync(below(60));
  }
}

function expectCatalogToEqualAgent(): void {
  const services = (all: Iterable<Service>) => [...all].map((item) => `${item.ID}:${item.Port}`).sort();
  const checks = (all: Iterable<{ CheckID: string; Status: string }>) =>
    [...all].map((item) => `${item.CheckID}:${item.Status}`).sort();
  expect(services(backend.services.values())).toEqual(services(state.services().values()));
  expect(checks(backend.checks.values())).toEqual(checks(state.checks().values()));
}

describe.each(Array.from({ length: 30 }, (_, seed) => seed))('after random changes (seed %i)', (seed) => {
  beforeEach(() => {
    sync.stop();
    env = simulatedEnv(seed);
    state = new LocalState();
  });

  it('the catalog equals the agent by pushes alone', async () => {
    sync = createSync(1, 300_000, 1e9);
    sync.start();
    await changeAtRandom(300);
    await env.clock.advanceAsync(2_000);
    expectCatalogToEqualAgent();
  });

  it('the catalog equals the agent also when requests failed, and stays so without further writes', async () => {
    sync = createSync(1, 10_000);
    setService('restored');
    sync.start();
    backend.refuse = () => {
      const dice = env.random.next();
      return dice < 0.1 ? noClusterLeader() : dice < 0.2 ? refused('no') : undefined;
    };
    await changeAtRandom(300);
    backend.refuse = () => undefined;
    await env.clock.advanceAsync(300_000);
    expectCatalogToEqualAgent();
    expect(backend.maxInFlight).toBeLessThanOrEqual(64);
    const { length } = backend.writes;
    await env.clock.advanceAsync(600_000);
    expect(backend.writes).toHaveLength(length);
  });
});
