import { describe, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import {
  describeServer,
  hostPort,
  type PoolMember,
  type ServerMember,
  serverMember,
  splitHostPort,
} from './server-members.ts';
import { ServerRotation } from './server-rotation.ts';

const TAGS = {
  role: 'consul',
  dc: 'dc1',
  id: 'i',
  vsn: '2',
  raft_vsn: '3',
  build: '1.8.5:1e0',
  port: '8300',
};

function member(tags: Record<string, string>, name = 'n1', address = '10.0.0.1'): PoolMember {
  return { name, address, tags, status: 'alive' };
}

describe('serverMember', () => {
  test('reads name, address and tags', () => {
    const server = serverMember(member({ ...TAGS, expect: '3', nonvoter: '1' }, 'n1.dc1'));
    expect(server).toEqual({
      name: 'n1',
      id: 'i',
      datacenter: 'dc1',
      address: '10.0.0.1:8300',
      status: 'alive',
      bootstrap: false,
      expect: 3,
      raftVersion: '3',
      build: '1.8.5',
      isNonVoter: true,
    });
    expect(server === undefined ? '' : describeServer(server)).toBe('n1 (Addr: tcp/10.0.0.1:8300) (DC: dc1)');
  });

  test.each<[string, Record<string, string>]>([
    ['a client', { ...TAGS, role: 'node' }],
    ['no port', { ...TAGS, port: '' }],
    ['a port out of range', { ...TAGS, port: '70000' }],
    ['no version', { ...TAGS, vsn: 'x' }],
    ['no build', { ...TAGS, build: 'dev' }],
    ['a bad expect', { ...TAGS, expect: 'three' }],
    ['a bad WAN port', { ...TAGS, wan_join_port: 'x' }],
  ])('%s is no server', (_name, tags) => {
    expect(serverMember(member(tags))).toBeUndefined();
  });
});

test('addresses', () => {
  expect([hostPort('10.0.0.1', 1), hostPort('::1', 2)]).toEqual(['10.0.0.1:1', '[::1]:2']);
  expect(splitHostPort('[::1]:2')).toEqual({ host: '::1', port: 2 });
  expect(splitHostPort('10.0.0.1:1')).toEqual({ host: '10.0.0.1', port: 1 });
  expect(['::1:2', 'host', 'host:x', ':1', 'a:99999'].map(splitHostPort)).toEqual(Array(5).fill(undefined));
});

describe('ServerRotation', () => {
  const server = (port: number) => serverMember(member({ ...TAGS, port: String(port) })) as ServerMember;

  test('stays with a server until it fails, and then goes through the others', () => {
    const rotation = new ServerRotation(simulatedEnv(5));
    expect(rotation.current()).toBeUndefined();
    const all = [1, 2, 3, 4].map(server);
    expect(rotation.update(all)).toHaveLength(4);
    const first = rotation.current()?.address ?? '';
    expect(rotation.update(all)).toEqual([]);
    expect(rotation.current()?.address).toBe(first);
    const seen = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const address = rotation.current()?.address ?? '';
      seen.add(address);
      rotation.failed(address);
    }
    expect(seen.size).toBe(4);
    expect(rotation.current()?.address).toBe(first);
  });

  test('a failure that is known already moves nothing', () => {
    const rotation = new ServerRotation(simulatedEnv(5));
    rotation.update([1, 2, 3].map(server));
    const first = rotation.current()?.address ?? '';
    rotation.failed(first);
    const second = rotation.current()?.address;
    rotation.failed(first);
    expect(rotation.current()?.address).toBe(second);
  });

  test('newcomers do not push out the server in use, departed ones go', () => {
    const rotation = new ServerRotation(simulatedEnv(5));
    rotation.update([server(1)]);
    for (let port = 2; port < 20; port++)
      rotation.update(Array.from({ length: port }, (_, i) => server(i + 1)));
    expect(rotation.current()?.address).toBe('10.0.0.1:1');
    rotation.update([server(2)]);
    expect([rotation.size, rotation.current()?.address]).toEqual([1, '10.0.0.1:2']);
  });

  test('many agents spread over the servers', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 300; seed++) {
      const rotation = new ServerRotation(simulatedEnv(seed));
      rotation.update([1, 2, 3].map(server));
      const address = rotation.current()?.address ?? '';
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    expect([...counts.values()].every((count) => count > 60)).toBe(true);
  });
});
