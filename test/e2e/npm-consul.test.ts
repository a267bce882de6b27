/** The `consul` client from npm, unchanged, against the gateway: what its users call, in the order they call it. */

import Consul from 'consul';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { type SmallPool, startSmallPool } from './small-pool.ts';

/** What the client makes of a `false` from any server: it hands on true, and undefined for false. */
const NO = undefined;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let pool: SmallPool;
let consul: Consul;

beforeAll(async () => {
  pool = await startSmallPool();
  consul = new Consul({ host: '127.0.0.1', port: pool.gatewayPort });
});
afterAll(async () => {
  consul?.destroy();
  await pool?.stop();
});

/** What a watch saw, and its end. */
function follow<T>(method: unknown, options: Record<string, string>) {
  if (typeof method !== 'function') throw new TypeError('a watch follows a method');
  const seen: T[] = [];
  const errors: unknown[] = [];
  const watch = consul.watch({ method, options, backoffFactor: 10 });
  watch.on('change', (data: T) => seen.push(data));
  watch.on('error', (error: unknown) => errors.push(error));
  return { seen, errors, end: () => watch.end() };
}

/** Message and status of a refusal. */
async function refusal(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.then(
    () => new Error('it was accepted'),
    (reason: unknown) => reason,
  );
  const { statusCode, response } = error as { statusCode?: number; response?: { body?: unknown } };
  return { status: statusCode, body: String(response?.body) };
}

describe('agent, catalog and health', () => {
  test('registers a service with two checks and finds it in agent, catalog and health', async () => {
    await consul.agent.service.register({
      id: 'web-1',
      name: 'web',
      tags: ['v1', 'primary'],
      address: '10.1.2.3',
      port: 8080,
      meta: { team: 'core' },
      checks: [
        { name: 'alive', checkid: 'web-1-alive', ttl: '600s', timeout: '1s' },
        { name: 'ready', checkid: 'web-1-ready', ttl: '600s', timeout: '1s', status: 'passing' },
      ],
    });
    const services = await consul.agent.service.list();
    expect(services['web-1']).toMatchObject({
      ID: 'web-1',
      Service: 'web',
      Tags: ['v1', 'primary'],
      Address: '10.1.2.3',
      Port: 8080,
      Meta: { team: 'core' },
    });
    const checks = await consul.agent.checks();
    expect(checks['web-1-alive']).toMatchObject({ Status: 'critical', ServiceID: 'web-1', Type: 'ttl' });
    expect(checks['web-1-ready']).toMatchObject({ Status: 'passing' });

    const nodes = await eventually('web in the catalog', async () => {
      const list = await consul.catalog.service.nodes('web');
      return list.length === 1 ? list : undefined;
    });
    expect(nodes[0]).toMatchObject({
      ServiceID: 'web-1',
      ServiceAddress: '10.1.2.3',
      ServicePort: 8080,
      ServiceTags: ['v1', 'primary'],
      ServiceMeta: { team: 'core' },
    });
    expect(await consul.catalog.service.nodes({ service: 'web', tag: 'v2' })).toEqual([]);
    const names = (await consul.catalog.services()) as unknown as Record<string, string[]>;
    expect(Object.keys(names).sort()).toEqual(['consul', 'web']);
    expect(names.web?.toSorted()).toEqual(['primary', 'v1']);
    expect(await consul.catalog.datacenters()).toEqual(['dc1']);
    const node = String(nodes[0]?.Node);
    const onNode = (await consul.catalog.node.services(node)) as { Services: Record<string, unknown> };
    expect(Object.keys(onNode.Services)).toEqual(['web-1']);
    expect(await consul.health.service({ service: 'web', passing: true })).toEqual([]);
  });

  test('passes, warns and fails TTL checks with notes', async () => {
    await consul.agent.check.pass({ id: 'web-1-alive', note: 'all well' });
    const passing = await eventually('web to pass', async () => {
      const list = await consul.health.service({ service: 'web', passing: true });
      return list.length === 1 ? list : undefined;
    });
    expect(passing[0].Service).toMatchObject({ ID: 'web-1', Port: 8080 });
    expect(await consul.health.checks('web')).toContainEqual(
      expect.objectContaining({ CheckID: 'web-1-alive', Status: 'passing', Output: 'all well' }),
    );
    for (const [step, status] of [
      ['warn', 'warning'],
      ['fail', 'critical'],
    ] as const) {
      await consul.agent.check[step]({ id: 'web-1-alive', note: `now ${step}` });
      const found = await eventually(`the state ${status}`, async () =>
        (await consul.health.state(status)).find(({ CheckID }) => CheckID === 'web-1-alive'),
      );
      expect(found).toMatchObject({ Output: `now ${step}`, ServiceName: 'web' });
    }
    expect(await refusal(consul.agent.check.pass('no-such-check'))).toEqual({
      status: 500,
      body: 'CheckID "no-such-check" does not have associated TTL',
    });
  });

  test('registers and removes a check of the node', async () => {
    await consul.agent.check.register({ name: 'disk', ttl: '600s', timeout: '1s', notes: 'free space' });
    await consul.agent.check.pass('disk');
    const check = await eventually('the check in the catalog', async () =>
      (await consul.health.state('passing')).find(({ CheckID }) => CheckID === 'disk'),
    );
    expect(check).toMatchObject({ Name: 'disk', Notes: 'free space', ServiceID: '' });
    expect(await consul.health.node(check.Node)).toContainEqual(expect.objectContaining({ CheckID: 'disk' }));
    await consul.agent.check.deregister('disk');
    expect(Object.keys(await consul.agent.checks())).not.toContain('disk');
  });

  test('puts a service and every agent in and out of maintenance', async () => {
    await consul.agent.service.maintenance({ id: 'web-1', enable: true, reason: 'new disk' });
    expect((await consul.agent.checks())['_service_maintenance:web-1']).toMatchObject({
      Status: 'critical',
      Notes: 'new disk',
    });
    await consul.agent.service.maintenance({ id: 'web-1', enable: false });
    expect(Object.keys(await consul.agent.checks())).not.toContain('_service_maintenance:web-1');

    await consul.agent.maintenance({ enable: true, reason: 'move' });
    expect((await consul.agent.checks())._node_maintenance).toMatchObject({ Notes: 'move' });
    const inMaintenance = await eventually('both nodes in maintenance', async () => {
      const critical = await consul.health.state('critical');
      const nodes = critical.filter(({ CheckID }) => CheckID === '_node_maintenance').map(({ Node }) => Node);
      return nodes.length === 2 ? nodes.sort() : undefined;
    });
    expect(inMaintenance).toEqual(['client1', 'server1']);
    await consul.agent.maintenance(false);
    expect(Object.keys(await consul.agent.checks())).not.toContain('_node_maintenance');
  });

  test('knows the members, itself, the leader and the peers', async () => {
    const members = await consul.agent.members();
    expect(members.map(({ Name, Status }) => [Name, Status]).sort()).toEqual([
      ['client1', 1],
      ['server1', 1],
    ]);
    const self = await consul.agent.self();
    expect(self.Config).toMatchObject({ Datacenter: 'dc1', Version: '1.8.5' });
    const leader = await consul.status.leader();
    expect(leader).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(await consul.status.peers()).toEqual([leader]);
  });

  test('registers an external node in the catalog and takes it out', async () => {
    await consul.catalog.register({
      node: 'printer',
      address: '10.9.9.9',
      nodemeta: { external: 'true' },
      service: { service: 'print', id: 'print-1', port: 631 },
      check: { name: 'paper', checkid: 'paper', status: 'warning' },
    });
    expect(await consul.catalog.service.nodes('print')).toMatchObject([
      { Node: 'printer', Address: '10.9.9.9', NodeMeta: { external: 'true' }, ServicePort: 631 },
    ]);
    expect(await consul.health.node('printer')).toMatchObject([{ CheckID: 'paper', Status: 'warning' }]);
    await consul.catalog.deregister({ node: 'printer' });
    expect(await consul.catalog.service.nodes('print')).toEqual([]);
  });

  test('watches the health of a service without a gap', async () => {
    const watch = follow<{ Service: { ID: string } }[]>(consul.health.service, {
      service: 'web',
      passing: 'true',
      wait: '20s',
    });
    const ids = () => watch.seen.at(-1)?.map(({ Service }) => Service.ID);
    const until = (expected: string[]) =>
      eventually(`the watch to see ${expected}`, async () =>
        JSON.stringify(ids()?.sort()) === JSON.stringify(expected) ? true : undefined,
      );
    await until([]);
    await consul.agent.check.pass('web-1-alive');
    await until(['web-1']);
    await consul.agent.service.register({ id: 'web-2', name: 'web', port: 8081 });
    await until(['web-1', 'web-2']);
    await consul.agent.service.deregister('web-2');
    await until(['web-1']);
    await consul.agent.service.deregister('web-1');
    await until([]);
    watch.end();
    expect(watch.errors).toEqual([]);
    expect(Object.keys(await consul.agent.service.list())).not.toContain('web-1');
  });
});

describe('keys and values', () => {
  test('sets, reads, lists and deletes', async () => {
    expect(await consul.kv.get('app/none')).toBeUndefined();
    expect(await consul.kv.set('app/a', 'one')).toBe(true);
    expect(await consul.kv.set({ key: 'app/b c/ü', value: 'two', flags: 42 })).toBe(true);
    expect(await consul.kv.get('app/b c/ü')).toMatchObject({ Value: 'two', Flags: 42, LockIndex: 0 });
    expect(await consul.kv.get({ key: 'app/a', raw: true })).toEqual(Buffer.from('one'));
    expect(await consul.kv.get({ key: 'app/', recurse: true })).toMatchObject([
      { Key: 'app/a', Value: 'one' },
      { Key: 'app/b c/ü', Value: 'two' },
    ]);
    expect(await consul.kv.keys('app/')).toEqual(['app/a', 'app/b c/ü']);
    expect(await consul.kv.keys({ key: 'app/', separator: '/' })).toEqual(['app/a', 'app/b c/']);
    expect(await consul.kv.del('app/a')).toBe(true);
    expect(await consul.kv.get('app/a')).toBeUndefined();
    expect(await consul.kv.del({ key: 'app/', recurse: true })).toBe(true);
    expect(await refusal(consul.kv.keys('app/'))).toMatchObject({ status: 404 });
  });

  test('checks and sets, checks and deletes', async () => {
    expect(await consul.kv.set({ key: 'cas', value: '1', cas: 0 })).toBe(true);
    expect(await consul.kv.set({ key: 'cas', value: 'again', cas: 0 })).toBe(NO);
    const index = (await consul.kv.get('cas'))?.ModifyIndex ?? 0;
    const [first, second] = await Promise.all([
      consul.kv.set({ key: 'cas', value: '2', cas: index }),
      consul.kv.set({ key: 'cas', value: '3', cas: index }),
    ]);
    expect([first, second].filter(Boolean)).toHaveLength(1);
    expect(await consul.kv.del({ key: 'cas', cas: index })).toBe(NO);
    expect(await consul.kv.del({ key: 'cas', cas: (await consul.kv.get('cas'))?.ModifyIndex ?? 0 })).toBe(
      true,
    );
  });

  test('watches a key: from absent over two values to deleted', async () => {
    const watch = follow<{ Value: string } | undefined>(consul.kv.get, { key: 'watched', wait: '20s' });
    const until = (value: string | undefined, count: number) =>
      eventually(`the watch to see ${value}`, async () =>
        watch.seen.length >= count && watch.seen.at(-1)?.Value === value ? true : undefined,
      );
    await until(undefined, 1);
    await consul.kv.set('watched', 'x');
    await until('x', 2);
    await consul.kv.set('watched', 'y');
    await until('y', 3);
    await consul.kv.del('watched');
    await until(undefined, 4);
    watch.end();
    expect(watch.errors).toEqual([]);
  });

  test('applies a transaction whole or not at all', async () => {
    const value = Buffer.from('in a transaction').toString('base64');
    const done = await consul.transaction.create([
      { KV: { Verb: 'set', Key: 'txn/a', Value: value } },
      { KV: { Verb: 'set', Key: 'txn/b', Value: value, Flags: 7 } },
      { KV: { Verb: 'get', Key: 'txn/a' } },
    ] as never);
    expect(done.Errors ?? null).toBeNull();
    expect(done.Results?.map(({ KV }) => [KV.Key, KV.Flags])).toEqual([
      ['txn/a', 0],
      ['txn/b', 7],
      ['txn/a', 0],
    ]);
    const refused = await refusal(
      consul.transaction.create([
        { KV: { Verb: 'delete', Key: 'txn/a' } },
        { KV: { Verb: 'check-not-exists', Key: 'txn/b' } },
      ] as never),
    );
    expect(refused).toMatchObject({ status: 409 });
    expect(await consul.kv.get('txn/a')).toMatchObject({ Value: 'in a transaction' });
  });
});

describe('sessions and locks', () => {
  test('creates, lists, renews and destroys a session', async () => {
    const { ID } = await consul.session.create({ name: 'mine', ttl: '30s', behavior: 'release' });
    expect(ID).toMatch(UUID);
    const info = await consul.session.get(ID);
    expect(info).toMatchObject({ ID, Name: 'mine', TTL: '30s', Behavior: 'release', Node: 'client1' });
    expect((await consul.session.list()).map((session) => session.ID)).toContain(ID);
    expect((await consul.session.node(info.Node)).map((session) => session.ID)).toEqual([ID]);
    expect(await consul.session.renew(ID)).toMatchObject([{ ID }]);
    await consul.session.destroy(ID);
    expect(await consul.session.get(ID)).toBeUndefined();
    expect(await refusal(consul.session.renew(ID))).toMatchObject({ status: 404 });
  });

  test('a lock is held by one session, counts its holders and falls free with its holder', async () => {
    const sessions = await Promise.all(
      Array.from({ length: 2 }, () => consul.session.create({ lockdelay: '0s', ttl: '60s' })),
    );
    const [first, second] = sessions.map(({ ID }) => ID);
    if (first === undefined || second === undefined) throw new Error('two sessions were made');
    expect(await consul.kv.set({ key: 'lock', value: 'first', acquire: first })).toBe(true);
    expect(await consul.kv.set({ key: 'lock', value: 'second', acquire: second })).toBe(NO);
    expect(await consul.kv.get('lock')).toMatchObject({ Session: first, LockIndex: 1, Value: 'first' });
    expect(await consul.kv.set({ key: 'lock', value: '', release: second })).toBe(NO);
    expect(await consul.kv.set({ key: 'lock', value: 'done', release: first })).toBe(true);
    expect(await consul.kv.get('lock')).not.toHaveProperty('Session');
    expect(await consul.kv.set({ key: 'lock', value: 'second', acquire: second })).toBe(true);
    await consul.session.destroy(second);
    expect(await consul.kv.get('lock')).not.toHaveProperty('Session');
    expect(await consul.kv.set({ key: 'lock', value: 'first', acquire: first })).toBe(true);
    expect(await consul.kv.get('lock')).toMatchObject({ Session: first, LockIndex: 3 });
    await consul.session.destroy(first);
  });
});

describe('events and queries', () => {
  test('fires an event and lists it', async () => {
    const fired = await consul.event.fire('deploy', 'build 42');
    expect(fired).toMatchObject({ Name: 'deploy', Payload: 'build 42', Version: 1 });
    expect(fired.ID).toMatch(UUID);
    const heard = await eventually('the event', async () => {
      const list = await consul.event.list('deploy');
      return list.length > 0 ? list : undefined;
    });
    expect(heard).toMatchObject([{ ID: fired.ID, Payload: 'build 42' }]);
    expect(await consul.event.list('other')).toEqual([]);
  });

  test('creates, reads, executes and explains a prepared query', async () => {
    await consul.agent.service.register({ name: 'cache', port: 6379, tags: ['hot'] });
    const { ID } = await consul.query.create({
      name: 'find-cache',
      service: { service: 'cache', onlypassing: true },
      dns: { ttl: '10s' },
    });
    expect(ID).toMatch(UUID);
    expect(await consul.query.get(ID)).toMatchObject({ Name: 'find-cache', DNS: { TTL: '10s' } });
    expect(await consul.query.list()).toMatchObject([{ ID }]);
    const found = await eventually('cache to be found', async () => {
      const answer = await consul.query.execute('find-cache');
      return answer.Nodes.length === 1 ? answer : undefined;
    });
    expect(found).toMatchObject({ Service: 'cache', Datacenter: 'dc1', DNS: { TTL: '10s' } });
    expect(found.Nodes[0].Service).toMatchObject({ Port: 6379, Tags: ['hot'] });
    await consul.query.update({ query: ID, name: 'find-cache', service: { service: 'none' } });
    expect((await consul.query.execute(ID)).Nodes).toEqual([]);
    await consul.agent.service.deregister('cache');
  });
});
