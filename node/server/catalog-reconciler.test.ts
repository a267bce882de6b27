import { beforeEach, describe, expect, test } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import { silentLogger } from '../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import type { RegisterRequest } from '../../shared/types/v1.ts';
import type { GossipMember, MemberStatus } from '../gossip/types.ts';
import type { LogIndex, StateMachine, Term } from '../raft/types.ts';
import { catalogNodeServices, catalogRegister, healthNodeChecks } from '../rpc/endpoints.ts';
import { floatingList, floatingRegister } from '../rpc/floating-endpoints.ts';
import { HTTP_ADDRESS_TAG, type ServerMember } from '../rpc/server-members.ts';
import { createStore } from '../state/store.ts';
import { CatalogReconciler, type LocalState } from './catalog-reconciler.ts';
import { encodeCommand } from './commands.ts';
import { READ_HANDLERS, WRITE_HANDLERS } from './endpoints/all.ts';
import { floatingCheck, floatingPart, registration, service } from './endpoints/samples.ts';
import { FloatingMover } from './floating-mover.ts';
import { createStateMachine } from './fsm.ts';
import { clientTags, fakeMember, serverTags } from './testing/fake-gossip.ts';

const ID_C1 = '9bde2b94-6ad3-bcb1-ef2e-000000000001';
const ID_N1 = '9bde2b94-6ad3-bcb1-ef2e-0000000000a1';
const ID_N2 = '9bde2b94-6ad3-bcb1-ef2e-0000000000a2';

const CONTEXT = { env: realEnv, datacenter: 'dc1', nodeName: 'n1', sessionTtlMinMs: 10_000 };

/** The real state and handlers, without a log between. */
class Catalog implements LocalState {
  readonly store = createStore();
  readonly machine: StateMachine = createStateMachine(this.store);
  writes = 0;
  #index = 1;

  read: LocalState['read'] = (endpoint, args) => {
    const handler = READ_HANDLERS.find((known) => known.endpoint.name === endpoint.name);
    return handler?.query(this.store, args as never, CONTEXT).value as never;
  };

  write: LocalState['write'] = async (endpoint, args) => {
    const handler = WRITE_HANDLERS.find((known) => known.endpoint.name === endpoint.name);
    if (handler === undefined) throw new Error(endpoint.name);
    const data = encodeCommand(handler.command(this.store, args as never, CONTEXT));
    const index = ++this.#index as LogIndex;
    const applied = this.machine.apply(data, index, 1 as Term);
    this.machine.applied(index);
    this.writes++;
    return handler.result(applied) as never;
  };

  serfHealth(node: string): string | undefined {
    return this.read(healthNodeChecks, { node, filter: '' }).find(({ CheckID }) => CheckID === 'serfHealth')
      ?.Status;
  }

  node(name: string) {
    return this.read(catalogNodeServices, { node: name, filter: '' });
  }
}

let catalog: Catalog;
let roster: string[];
let reconciler: CatalogReconciler;

let members: GossipMember[];
let mover: FloatingMover;
let env: SimulatedEnv;
let due: number;

function reconcilerWith(moveAfterMs: number): void {
  due = 0;
  mover = new FloatingMover({
    datacenter: 'dc1',
    state: catalog,
    members: () => members,
    moveAfterMs,
    clock: env.clock,
    log: silentLogger,
    onDue: () => void due++,
  });
  reconciler = new CatalogReconciler({
    datacenter: 'dc1',
    ownName: 'n1',
    state: catalog,
    roster: {
      add: async (server: ServerMember) => void roster.push(`add ${server.id}`),
      remove: async (id) => void roster.push(`remove ${id}`),
    },
    floating: mover,
    log: silentLogger,
  });
}

beforeEach(() => {
  catalog = new Catalog();
  roster = [];
  members = [];
  env = simulatedEnv(1);
  reconcilerWith(0);
});

const client = (status: MemberStatus) => ({ ...fakeMember('c1', clientTags(ID_C1)), status });
const server = (status: MemberStatus) => ({ ...fakeMember('n2', serverTags(ID_N2, 8300)), status });

function external(node: string): RegisterRequest {
  return {
    Datacenter: 'dc1',
    ID: '',
    Node: node,
    Address: '10.9.9.9',
    TaggedAddresses: null,
    NodeMeta: { a: 'b' },
    Service: null,
    Check: null,
    Checks: null,
    SkipNodeUpdate: false,
  };
}

describe('reconcile', () => {
  test('a live client becomes a node with a passing check, once', async () => {
    await reconciler.reconcile(client('alive'));
    await reconciler.reconcile(client('alive'));
    expect(catalog.writes).toBe(1);
    expect(catalog.serfHealth('c1')).toBe('passing');
    expect(catalog.node('c1')).toMatchObject({ Node: { Address: '127.0.0.1', ID: ID_C1 }, Services: {} });
    expect(roster).toEqual([]);
  });

  test('a live server also gets the service consul and a place in Raft', async () => {
    await reconciler.reconcile(server('alive'));
    expect(catalog.node('n2')?.Services.consul).toMatchObject({
      ID: 'consul',
      Port: 8300,
      Tags: [],
      Meta: {
        non_voter: 'false',
        raft_version: '3',
        serf_protocol_current: '2',
        serf_protocol_max: '5',
        serf_protocol_min: '1',
        version: '1.8.5',
      },
    });
    expect(roster).toEqual([`add ${ID_N2}`]);
    await reconciler.reconcile({ ...server('alive'), tags: { ...serverTags(ID_N2, 8301) } });
    expect(catalog.node('n2')?.Services.consul?.Port).toBe(8301);
  });

  test('what the agent said about its node stays', async () => {
    await catalog.write(catalogRegister, external('c1'));
    await reconciler.reconcile(client('alive'));
    expect(catalog.node('c1')?.Node).toMatchObject({ Address: '10.9.9.9', Meta: { a: 'b' } });
    expect(catalog.serfHealth('c1')).toBe('passing');
  });

  test('a failed member turns critical, once, and recovers', async () => {
    await reconciler.reconcile(client('alive'));
    await reconciler.reconcile(client('failed'));
    await reconciler.reconcile(client('failed'));
    expect([catalog.serfHealth('c1'), catalog.writes]).toEqual(['critical', 2]);
    await reconciler.reconcile(client('alive'));
    expect(catalog.serfHealth('c1')).toBe('passing');
  });

  test('a failed member that the catalog does not know is ignored', async () => {
    await reconciler.reconcile(client('failed'));
    expect(catalog.writes).toBe(0);
  });

  test('a departed member disappears, a departed server from Raft too', async () => {
    for (const member of [client('alive'), server('alive')]) await reconciler.reconcile(member);
    await reconciler.reconcile(client('leaving'));
    expect(catalog.node('c1')).not.toBeNull();
    for (const member of [client('left'), server('left')]) await reconciler.reconcile(member);
    expect([catalog.node('c1'), catalog.node('n2')]).toEqual([null, null]);
    expect(roster).toEqual([`add ${ID_N2}`, `remove ${ID_N2}`]);
    const writes = catalog.writes;
    await reconciler.reconcile(client('left'));
    expect(catalog.writes).toBe(writes);
  });

  test('the leader never takes itself away', async () => {
    const own = fakeMember('n1', serverTags(ID_N1, 8300));
    await reconciler.reconcile(own);
    await reconciler.reconcile({ ...own, status: 'left' });
    await reconciler.reaped(own);
    expect(catalog.node('n1')).not.toBeNull();
    expect(roster).toEqual([`add ${ID_N1}`]);
  });

  test('members of other datacenters and other programs are left alone', async () => {
    await reconciler.reconcile(fakeMember('x', { ...clientTags('x'), dc: 'dc2' }));
    await reconciler.reconcile(fakeMember('y', { ...clientTags('y'), role: 'guest' }));
    expect(catalog.writes).toBe(0);
  });
});

describe('reapStrangers', () => {
  test('takes away agents that the pool no longer knows, and nothing else', async () => {
    for (const member of [client('alive'), server('alive'), fakeMember('n1', serverTags(ID_N1, 8300))])
      await reconciler.reconcile(member);
    await catalog.write(catalogRegister, external('by-api'));
    await reconciler.reapStrangers([client('failed')]);
    expect(catalog.node('n2')).toBeNull();
    expect(catalog.node('c1')).not.toBeNull();
    expect(catalog.node('by-api')).not.toBeNull();
    expect(catalog.node('n1')).not.toBeNull();
    expect(roster).toContain(`remove ${ID_N2}`);
  });
});

describe('floating services', () => {
  const agent = (name: string, role: 'node' | 'consul', status: MemberStatus = 'alive'): GossipMember => {
    const tags = role === 'node' ? clientTags('') : serverTags('', 8300);
    return { ...fakeMember(name, { ...tags, [HTTP_ADDRESS_TAG]: '127.0.0.1:1' }), status };
  };
  const places = () => catalog.read(floatingList, {}).map(({ id, node }) => `${id}@${node}`);
  const place = (node: string, id: string) =>
    catalog.write(floatingRegister, {
      node: registration(node),
      parts: [floatingPart(service(id, id), [floatingCheck(`service:${id}`, id, 'passing')])],
      replaceChecks: true,
    });
  async function become(name: string, status: MemberStatus): Promise<void> {
    members = members.map((member) => (member.name === name ? { ...member, status } : member));
    const member = members.find((known) => known.name === name);
    if (member !== undefined) await reconciler.reconcile(member);
  }
  beforeEach(async () => {
    members = [agent('c1', 'node'), agent('c2', 'node'), agent('c3', 'node'), agent('n2', 'consul')];
    for (const member of members) await reconciler.reconcile(member);
  });

  test('leave a failed agent before it is marked critical, for the next owner', async () => {
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) await place('c1', id);
    const seen: string[] = [];
    catalog.store.watch(['node-checks:c1'], () => seen.push(...places()));
    await become('c1', 'failed');
    expect(catalog.serfHealth('c1')).toBe('critical');
    expect(new Set(places().map((text) => text.slice(2)))).toEqual(new Set(['c2', 'c3']));
    expect(seen).toEqual(places());
  });

  test('go to servers only when no client is left, and wait while nobody can take them', async () => {
    await place('c1', 'web');
    members = members.filter(({ name }) => name === 'c1' || name === 'n2');
    await become('c1', 'failed');
    expect(places()).toEqual(['web@n2']);
    members = members.map((member) => ({ ...member, tags: { role: 'consul', dc: 'dc1', id: '' } }));
    await become('n2', 'failed');
    expect([places(), mover.isStranded, catalog.serfHealth('n2')]).toEqual([['web@n2'], true, 'critical']);
    members.push(agent('c3', 'node'));
    await mover.sweep();
    expect([places(), mover.isStranded]).toEqual([['web@c3'], false]);
  });

  test('avoid an agent that has such a service of its own', async () => {
    await place('c1', 'web');
    for (const name of ['c2', 'c3'])
      await catalog.write(catalogRegister, {
        ...external(name),
        SkipNodeUpdate: true,
        Service: service('web', 'x'),
      });
    await become('c1', 'failed');
    expect(places()).toEqual(['web@n2']);
  });

  test('leave with an agent that leaves, and with one that nobody knows any more', async () => {
    await place('c1', 'web');
    await become('c1', 'left');
    expect(catalog.node('c1')).toBeNull();
    const [home = ''] = places().map((text) => text.slice('web@'.length));
    members = members.filter(({ name }) => name !== home && name !== 'c1');
    await reconciler.reapStrangers(members);
    expect(catalog.node(home)).toBeNull();
    expect(places()).toHaveLength(1);
    expect(places()).not.toEqual([`web@${home}`]);
  });

  test('stay for a while with an agent that failed, when that is wanted', async () => {
    reconcilerWith(3000);
    await place('c1', 'web');
    await become('c1', 'failed');
    expect([places(), catalog.serfHealth('c1')]).toEqual([['web@c1'], 'passing']);
    await mover.sweep();
    env.clock.advance(2999);
    expect([places(), due]).toEqual([['web@c1'], 0]);
    env.clock.advance(1);
    expect(due).toBe(1);
    await become('c1', 'failed');
    expect([places().includes('web@c1'), catalog.serfHealth('c1')]).toEqual([false, 'critical']);
  });

  test('stay with an agent that was back in time', async () => {
    reconcilerWith(3000);
    await place('c1', 'web');
    await become('c1', 'failed');
    await become('c1', 'alive');
    env.clock.advance(5000);
    await become('c1', 'failed');
    expect(places()).toEqual(['web@c1']);
  });
});
