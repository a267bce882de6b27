import { describe, expect, test } from 'vitest';
import {
  isLeaderNode,
  readInstances,
  readKvEntry,
  readMembers,
  readNode,
  readNodes,
  readPeers,
  readSelf,
  readServices,
} from './model.ts';

test('services are counted by node, not by instance', () => {
  const row = { Name: 'web', Tags: null, Nodes: ['a', 'a', 'b'], InstanceCount: 3, ChecksPassing: 2 };
  expect(readServices([row])).toEqual([
    {
      name: 'web',
      kind: '',
      tags: [],
      instances: 3,
      nodes: 2,
      health: { passing: 2, warning: 0, critical: 0 },
    },
  ]);
});

test('an instance without an address has that of its node', () => {
  const entry = (Address: string) => ({
    Node: { Node: 'n1', Address: '10.0.0.1' },
    Service: { ID: 'web', Service: 'web', Address, Port: 80, Meta: { team: 'x' } },
    Checks: [{ CheckID: 'c', Name: '', Status: 'passing' }],
  });
  const [own, inherited] = readInstances([entry('10.9.9.9'), entry('')]);
  expect([own?.address, inherited?.address]).toEqual(['10.9.9.9', '10.0.0.1']);
  expect(own?.meta).toEqual([['team', 'x']]);
  expect(own?.checks[0]?.name).toBe('c');
});

test('a node’s checks go to their services', () => {
  const node = readNode({
    Node: 'n1',
    Address: '10.0.0.1',
    Services: [
      { ID: 'consul', Service: 'consul', Port: 8300 },
      { ID: 'web', Service: 'web' },
    ],
    Checks: [
      { CheckID: 'serfHealth', Name: 'Serf', Status: 'passing' },
      { CheckID: 'w', Name: 'w', Status: 'critical', ServiceID: 'web' },
    ],
  });
  expect(node.instances.map(({ id, checks }) => [id, checks.length])).toEqual([
    ['consul', 0],
    ['web', 1],
  ]);
  expect(isLeaderNode(node, '10.0.0.1:8300')).toBe(true);
  expect(isLeaderNode(node, '10.0.0.1:8301')).toBe(false);
  expect(isLeaderNode(node, '')).toBe(false);
});

test('members: servers first, states in words', () => {
  const member = (Name: string, Status: number, role: string) => ({
    Name,
    Status,
    Tags: { role, build: '1.8.5:abc' },
  });
  const members = readMembers([member('c1', 4, 'node'), member('s1', 1, 'consul'), member('c2', 99, 'node')]);
  expect(members.map(({ name, status, build }) => [name, status, build])).toEqual([
    ['s1', 'alive', '1.8.5'],
    ['c1', 'failed', '1.8.5'],
    ['c2', 'none', '1.8.5'],
  ]);
});

test('facts of the agent: what is missing is left out', () => {
  expect(
    readSelf({ Config: { NodeName: 'n1', Server: false }, Stats: { consul: { known_servers: '3' } } }),
  ).toEqual([
    ['Node', 'n1'],
    ['Mode', 'client'],
    ['Known servers', '3'],
  ]);
});

describe('answers of another shape never break a page', () => {
  const shapes: unknown[] = [undefined, null, 0, 'x', [], {}, [null, 1, 'x', []], { Servers: [null] }];
  test.each(shapes.map((shape) => [shape]))('%j', (shape) => {
    for (const read of [readServices, readInstances, readNodes, readMembers, readPeers, readSelf])
      expect(Array.isArray(read(shape))).toBe(true);
    expect(readNode(shape).instances).toEqual([]);
    expect(readKvEntry(shape)?.key ?? '').toBe('');
  });
});
