import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { NodeId } from '../raft/types.ts';
import type { Backend, ReadOptions } from '../rpc/backend.ts';
import {
  catalogListDatacenters,
  catalogRegister,
  healthNodeChecks,
  healthServiceNodes,
  type KvApplyArgs,
  kvApply,
  kvGet,
  NO_MODIFIERS,
  operatorRaftConfiguration,
  operatorRaftRemovePeer,
  sessionCreate,
  sessionList,
  sessionRenew,
  statusLeader,
  statusPeers,
} from '../rpc/endpoints.ts';
import { FakeLan, fakeMember, serverTags } from './testing/fake-gossip.ts';
import { eventually, TestCluster, type TestServer } from './testing/test-cluster.ts';

const HERE = { datacenter: '', token: '' };
const DEFAULT: ReadOptions = { ...HERE, consistency: 'default' };
const STALE: ReadOptions = { ...HERE, consistency: 'stale' };
const CONSISTENT: ReadOptions = { ...HERE, consistency: 'consistent' };

let cluster = new TestCluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new TestCluster();
});

function put(backend: Backend, key: string, value: string): Promise<boolean> {
  const args: KvApplyArgs = { verb: 'set', key, value: Buffer.from(value), flags: 0, index: 0, session: '' };
  return backend.write(kvApply, args, HERE);
}

/** A write that was under way when a connection broke is the caller's to repeat: setting a key twice does no harm. */
async function putForSure(backend: Backend, key: string, value: string): Promise<boolean> {
  return eventually(() =>
    put(backend, key, value).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'outcome-unknown', applied: 'unknown' });
      return undefined;
    }),
  );
}

async function get(backend: Backend, key: string, options = DEFAULT): Promise<string | undefined> {
  const { value } = await backend.read(kvGet, { key }, options);
  const text = value[0]?.Value;
  return typeof text === 'string' ? Buffer.from(text, 'base64').toString() : undefined;
}

function registration(node: string) {
  return {
    Datacenter: '',
    ID: '',
    Node: node,
    Address: '10.0.0.9',
    TaggedAddresses: null,
    NodeMeta: null,
    Service: null,
    Check: null,
    Checks: null,
    SkipNodeUpdate: false,
  };
}

describe('one server', () => {
  test('bootstraps itself, registers itself and answers', async () => {
    const { server, id, port } = await cluster.addServer('n1', { bootstrap: true });
    expect(await put(server, 'a', '1')).toBe(true);
    expect(await get(server, 'a')).toBe('1');
    expect(await get(server, 'a', CONSISTENT)).toBe('1');
    const consul = await eventually(async () => {
      const args = {
        ...NO_MODIFIERS,
        service: 'consul',
        tags: [],
        kind: 'service',
        passingOnly: true,
      } as const;
      const { value } = await server.read(healthServiceNodes, args, DEFAULT);
      return value[0];
    });
    expect(consul.Service).toMatchObject({
      ID: 'consul',
      Port: port,
      Meta: { non_voter: 'false', raft_version: '3' },
    });
    expect((await server.read(statusLeader, {}, DEFAULT)).value).toBe(`127.0.0.1:${port}`);
    expect((await server.read(statusPeers, {}, DEFAULT)).value).toEqual([`127.0.0.1:${port}`]);
    expect((await server.read(catalogListDatacenters, {}, { ...DEFAULT, datacenter: 'x' })).value).toEqual([
      'dc1',
    ]);
    expect((await server.read(operatorRaftConfiguration, {}, DEFAULT)).value.Servers).toEqual([
      { ID: id, Node: 'n1', Address: `127.0.0.1:${port}`, Leader: true, ProtocolVersion: '3', Voter: true },
    ]);
    expect(server.stats()).toMatchObject({
      consul: { leader: 'true', known_datacenters: '1', leader_addr: `127.0.0.1:${port}` },
      raft: { state: 'Leader', num_peers: '0', last_contact: '0' },
    });
    expect(cluster.lan.fired).toEqual(['consul:new-leader']);
    expect(cluster.lines).toContain('[INFO]  agent.server: cluster leadership acquired');
  });

  test('without bootstrap there is no leader, and requests say so after the hold time', async () => {
    const { server } = await cluster.addServer('n1', { rpcHoldTimeoutMs: 60 });
    await expect(put(server, 'a', '1')).rejects.toMatchObject({
      message: 'No cluster leader',
      applied: 'no',
    });
    await expect(get(server, 'a')).rejects.toMatchObject({ message: 'No cluster leader', status: 500 });
    await expect(get(server, 'a', STALE)).rejects.toMatchObject({ message: 'No cluster leader' });
    expect(server.readLocal(kvGet, { key: 'a' })).toBeUndefined();
    expect((await server.read(statusLeader, {}, DEFAULT)).value).toBe('');
    expect((await server.read(statusPeers, {}, DEFAULT)).value).toEqual([]);
  });

  test('a write that comes before the election waits for it', async () => {
    const { server } = await cluster.addServer('n1');
    const write = put(server, 'early', '1');
    await server.raft.bootstrap([
      { id: cluster.servers[0]?.id as never, address: server.rpcAddress(), isVoter: true },
    ]);
    expect(await write).toBe(true);
  });

  test('unknown datacenters and bad requests', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    await expect(get(server, 'a', { ...DEFAULT, datacenter: 'dc9' })).rejects.toThrow(
      'No path to datacenter',
    );
    await expect(server.write(operatorRaftRemovePeer, { id: 'x', address: '' }, HERE)).rejects.toThrow(
      'id "x" was not found in the Raft configuration',
    );
    await expect(
      server.write(operatorRaftRemovePeer, { id: '', address: '127.0.0.1:1' }, HERE),
    ).rejects.toThrow('address "127.0.0.1:1" was not found in the Raft configuration');
  });

  test('restores end blocking queries, sessions are renewed without logging', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    await server.write(catalogRegister, registration('web-1'), HERE);
    const session = await server.write(
      sessionCreate,
      {
        name: 's',
        node: 'web-1',
        lockDelayNs: 0,
        behavior: 'release',
        ttl: '10s',
        nodeChecks: [],
        serviceChecks: null,
        checks: undefined,
      },
      HERE,
    );
    const before = server.raft.status().lastLogIndex;
    const renewed = await server.write(sessionRenew, { id: session }, HERE);
    expect(renewed.map(({ ID }) => ID)).toEqual([session]);
    expect(server.raft.status().lastLogIndex).toBe(before);
    expect(
      await server.write(sessionRenew, { id: session.replace(/^./, '0').replace(/.$/, '1') }, HERE),
    ).toEqual([]);
  });

  test('a session that nobody renews ends after twice its time', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true, sessionTtlMinMs: 20 });
    await server.write(catalogRegister, registration('web-1'), HERE);
    await server.write(
      sessionCreate,
      {
        name: '',
        node: 'web-1',
        lockDelayNs: 0,
        behavior: 'release',
        ttl: '50ms',
        nodeChecks: [],
        serviceChecks: null,
        checks: undefined,
      },
      HERE,
    );
    expect((await server.read(sessionList, {}, DEFAULT)).value).toHaveLength(1);
    await eventually(async () => (await server.read(sessionList, {}, DEFAULT)).value.length === 0);
  });
});

describe('three servers', () => {
  test('find each other, and followers pass on reads and writes', async () => {
    await cluster.startThree();
    expect(cluster.lines.some((line) => line.includes('Found expected number of peers'))).toBe(true);
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    expect(await put(follower.server, 'a', '<1>')).toBe(true);
    expect(await get(follower.server, 'a')).toBe('<1>');
    expect(await get(leader.server, 'a')).toBe('<1>');
    expect(await get(follower.server, 'a', CONSISTENT)).toBe('<1>');
    const json = { ...DEFAULT, pretty: true };
    const [here, there] = await Promise.all([
      leader.server.readJson(kvGet, { key: 'a' }, json),
      follower.server.readJson(kvGet, { key: 'a' }, json),
    ]);
    expect(Buffer.compare(here.body, there.body)).toBe(0);
    expect(there.meta).toEqual(here.meta);
    expect((await follower.server.read(statusPeers, {}, DEFAULT)).value).toHaveLength(3);
    const peers = (await follower.server.read(operatorRaftConfiguration, {}, DEFAULT)).value.Servers;
    expect(peers.map(({ Node, Voter }) => [Node, Voter]).sort()).toEqual([
      ['n1', true],
      ['n2', true],
      ['n3', true],
    ]);
  });

  test('errors of the leader carry the prefix on a follower and on a client, once', async () => {
    await cluster.startThree();
    const bad = { ...registration(''), Address: '' };
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    const client = cluster.addClient('c1');
    const texts = await Promise.all(
      [leader.server, follower.server, client].map((backend) =>
        backend.write(catalogRegister, bad, HERE).catch((error: Error) => error.message),
      ),
    );
    expect(texts).toEqual(
      [
        'Must provide node and address',
        'rpc error making call: Must provide node and address',
        'rpc error making call: Must provide node and address',
      ].map((text) => expect.stringMatching(new RegExp(`^${text.replace(' and address', '')}`))),
    );
  });

  test('stale reads are answered where they are asked', async () => {
    await cluster.startThree();
    const follower = await cluster.follower();
    await put(follower.server, 'a', '1');
    await eventually(async () => (await get(follower.server, 'a', STALE)) === '1');
    const { meta } = await follower.server.read(kvGet, { key: 'a' }, STALE);
    expect(meta.knownLeader).toBe(true);
    expect(meta.lastContactMs).toBeLessThan(5000);
    expect(follower.server.readLocal(kvGet, { key: 'a' })?.value).toHaveLength(1);
    const bounded = await follower.server.read(kvGet, { key: 'a' }, { ...STALE, maxStaleMs: 0 });
    expect(bounded.value).toHaveLength(1);
  });

  test('blocking queries through a follower and a client wake on a write elsewhere', async () => {
    await cluster.startThree();
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    const client = cluster.addClient('c1');
    await put(leader.server, 'watched', 'old');
    const { meta } = await leader.server.read(kvGet, { key: 'watched' }, DEFAULT);
    const blocking = { ...DEFAULT, minIndex: meta.index, waitMs: 60_000 };
    const stale = { ...STALE, minIndex: meta.index, waitMs: 60_000 };
    await eventually(async () => (await get(follower.server, 'watched', STALE)) === 'old');
    const waiting = [
      get(leader.server, 'watched', blocking),
      get(follower.server, 'watched', blocking),
      get(follower.server, 'watched', stale),
      get(client, 'watched', blocking),
    ];
    const controller = new AbortController();
    const aborted = get(client, 'watched', { ...blocking, signal: controller.signal });
    await put(leader.server, 'other', 'x');
    controller.abort(new Error('left'));
    await expect(aborted).rejects.toThrow('left');
    await put(follower.server, 'watched', 'new');
    expect(await Promise.all(waiting)).toEqual(['new', 'new', 'new', 'new']);
  });

  test('writes and blocking queries survive the death of the leader', async () => {
    await cluster.startThree();
    const client = cluster.addClient('c1');
    await put(client, 'a', '1');
    const { meta } = await client.read(kvGet, { key: 'a' }, DEFAULT);
    const watch = get(client, 'a', { ...DEFAULT, minIndex: meta.index, waitMs: 60_000 });
    const leader = await cluster.leader();
    const survivor = await cluster.follower();
    await cluster.kill(leader);
    expect(await putForSure(survivor.server, 'b', '2')).toBe(true);
    expect(await putForSure(client, 'a', '3')).toBe(true);
    expect(await watch).toBe('3');
    expect(await get(survivor.server, 'a')).toBe('3');
    const checks = await eventually(async () => {
      const { value } = await client.read(healthNodeChecks, { node: leader.name, filter: '' }, DEFAULT);
      return value.find(({ Status }) => Status === 'critical');
    });
    expect(checks.Output).toBe('Agent not live or unreachable');
  });

  test('a new server is caught up, gets a vote, and is taken out when it has left', async () => {
    await cluster.startThree();
    const fourth = await cluster.addServer('n4');
    await put(fourth.server, 'a', '1');
    const leader = await cluster.leader();
    const voters = () => leader.server.raft.status().peers.filter(({ isVoter }) => isVoter).length;
    await eventually(() => voters() === 4);
    expect(cluster.lines.some((line) => line.includes('Promoting server to voter'))).toBe(true);
    await fourth.server.leave();
    await eventually(() => leader.server.raft.status().peers.length === 3);
    // A change of members counts from when it is appended; the catalog follows once it is committed.
    const gone = '[INFO]  agent.server: deregistering member: member=n4 reason=left';
    await eventually(() => cluster.lines.includes(gone));
    await cluster.kill(fourth);
  });

  test('a leader that leaves hands over', async () => {
    await cluster.startThree();
    const leader = await cluster.leader();
    await put(leader.server, 'a', '1');
    await leader.server.leave();
    await cluster.kill(leader);
    cluster.lan.setStatus(leader.name, 'left');
    const next = await cluster.leader();
    expect(await get(next.server, 'a')).toBe('1');
    await eventually(() => next.server.raft.status().peers.length === 2);
    expect(await put(next.server, 'b', '2')).toBe(true);
  });
});

test('while gossip still shows a leader alive that has begun to leave, the next one does not take it in again', async () => {
  await cluster.startThree();
  const leader = await cluster.leader();
  // The first step of leaving; the others follow when the next leader is at work already.
  await leader.server.raft.changeMembership({ kind: 'remove', id: leader.id as NodeId });
  const next = await eventually(() =>
    cluster.servers.find(({ id, server }) => id !== leader.id && server.isLeader()),
  );
  // Members are looked at one after the other: with this one, all have been.
  cluster.lan.set(fakeMember('c1', { role: 'node', dc: 'dc1' }));
  await eventually(() => cluster.lines.some((line) => line.endsWith('marking health alive: member=c1')));
  expect(next.server.raft.status().peers.map(({ id }) => id)).not.toContain(leader.id);
  expect(cluster.lines.filter((line) => line.includes('added raft peer'))).toEqual([]);
  await cluster.kill(leader);
});

describe('two datacenters', () => {
  const wan = new FakeLan();
  const far = new TestCluster();
  afterAll(() => far.stop());

  async function addDatacenter(lan: TestCluster, name: string, datacenter: string): Promise<TestServer> {
    const added = await lan.addServer(name, {
      bootstrap: true,
      datacenter,
      wan: wan.pool(`${name}.${datacenter}`),
    });
    wan.set(fakeMember(`${name}.${datacenter}`, { ...serverTags(added.id, added.port), dc: datacenter }));
    return added;
  }

  test('requests for the other one go there and come back', async () => {
    const near = await addDatacenter(cluster, 'n1', 'dc1');
    const remote = await addDatacenter(far, 'm1', 'dc2');
    const there = { ...HERE, datacenter: 'dc2' };
    const args: KvApplyArgs = {
      verb: 'set',
      key: 'a',
      value: Buffer.from('2'),
      flags: 0,
      index: 0,
      session: '',
    };
    expect(await near.server.write(kvApply, args, there)).toBe(true);
    expect(await get(remote.server, 'a')).toBe('2');
    expect(await get(near.server, 'a')).toBeUndefined();
    expect(await get(near.server, 'a', { ...DEFAULT, ...there })).toBe('2');
    const client = cluster.addClient('c1');
    expect(await get(client, 'a', { ...STALE, ...there })).toBe('2');
    expect((await client.read(statusLeader, {}, { ...DEFAULT, ...there })).value).toBe(
      remote.server.rpcAddress(),
    );
    expect((await client.read(catalogListDatacenters, {}, DEFAULT)).value).toEqual(['dc1', 'dc2']);
    expect(near.server.stats().consul.known_datacenters).toBe('2');
    await expect(
      near.server.write(catalogRegister, { ...registration(''), Address: '' }, there),
    ).rejects.toThrow(/^rpc error making call: Must provide node/);
    await far.kill(remote);
    await expect(get(near.server, 'a', { ...DEFAULT, ...there })).rejects.toThrow('No path to datacenter');
  });
});

describe('client agents', () => {
  test('say when they know no servers', async () => {
    const client = cluster.addClient('c1');
    await expect(put(client, 'a', '1')).rejects.toMatchObject({
      message: 'No known Consul servers',
      applied: 'no',
    });
    expect(client.knownServers()).toBe(0);
  });

  test('move off a server that fails', async () => {
    await cluster.startThree();
    const client = cluster.addClient('c1');
    expect(client.knownServers()).toBe(3);
    const follower = await cluster.follower();
    await follower.server.stop();
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => putForSure(client, `k${n}`, 'v')));
    expect(results.every(Boolean)).toBe(true);
    await cluster.kill(follower);
  });

  test('members become nodes, failed ones critical, departed ones disappear', async () => {
    const { server } = await cluster.addServer('n1', { bootstrap: true });
    const client = cluster.addClient('c1');
    const status = async () => {
      const { value } = await client.read(healthNodeChecks, { node: 'c1', filter: '' }, DEFAULT);
      return value[0]?.Status ?? 'none';
    };
    await eventually(async () => (await status()) === 'passing');
    cluster.lan.setStatus('c1', 'failed');
    await eventually(async () => (await status()) === 'critical');
    cluster.lan.setStatus('c1', 'alive');
    await eventually(async () => (await status()) === 'passing');
    cluster.lan.set(fakeMember('stranger', { role: 'node', dc: 'dc2', id: 'x' }));
    cluster.lan.reap('c1');
    await eventually(async () => (await status()) === 'none');
    expect((await server.read(healthNodeChecks, { node: 'stranger', filter: '' }, DEFAULT)).value).toEqual(
      [],
    );
  });
});
