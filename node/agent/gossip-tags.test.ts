import { expect, test } from 'vitest';
import { buildConfig } from '../config/build.ts';
import { loadConfig, parseAgentFlags } from '../config/load.ts';
import type { GossipMember } from '../gossip/types.ts';
import { lanTags, visibleTags, wanTags } from './gossip-tags.ts';
import { lanMergeProblem, wanMergeProblem } from './merge-check.ts';

const host = { hostname: 'h', interfaces: {} };
const configOf = (...flags: string[]) =>
  buildConfig(loadConfig(parseAgentFlags(['-bind=10.0.0.1', '-data-dir=/d', ...flags])), host);

test('a server announces what Consul servers do, and where its HTTP API is', () => {
  expect(lanTags(configOf('-server', '-bootstrap-expect=3', '-client=0.0.0.0'), 'id-1')).toEqual({
    acls: '0',
    build: '1.8.5:',
    dc: 'dc1',
    expect: '3',
    ft_fs: '1',
    id: 'id-1',
    pc_http: '10.0.0.1:8500',
    port: '8300',
    raft_vsn: '3',
    role: 'consul',
    segment: '',
    vsn: '2',
    vsn_max: '3',
    vsn_min: '2',
    wan_join_port: '8302',
  });
});

test('a client is a node; a loopback API is told as it is; the WAN pool hears less', () => {
  expect(lanTags(configOf(), 'id-2')).toMatchObject({ role: 'node', pc_http: '127.0.0.1:8500' });
  const wan = wanTags(configOf('-server', '-bootstrap'), 'id-3');
  expect(wan).toMatchObject({ role: 'consul', bootstrap: '1' });
  expect(wan).not.toHaveProperty('wan_join_port');
  expect(wan).not.toHaveProperty('pc_http');
});

test('member lists leave our own tag out', () => {
  expect(visibleTags({ role: 'node', pc_http: 'x' })).toEqual({ role: 'node' });
});

const self = { nodeName: 'me', nodeId: 'id-me', datacenter: 'dc1' };
const member = (
  name: string,
  tags: Record<string, string>,
  status: GossipMember['status'] = 'alive',
): GossipMember => ({
  name,
  address: '10.0.0.9',
  port: 8301,
  tags: { role: 'node', dc: 'dc1', segment: '', id: `id-${name}`, ...tags },
  status,
  versions: [1, 5, 2, 2, 5, 4],
});

test.each([
  ['fine', [member('a', {}), member('b', {})], undefined],
  [
    'our id',
    [member('a', { id: 'id-me' })],
    "Member 'a' has conflicting node ID 'id-me' with this agent's ID",
  ],
  ['our id, but left', [member('a', { id: 'id-me' }, 'left')], undefined],
  [
    'twice an id',
    [member('a', { id: 'x' }), member('b', { id: 'x' })],
    "Member 'b' has conflicting node ID 'x' with member 'a'",
  ],
  ['another datacenter', [member('a', { dc: 'dc2' })], "Member 'a' part of wrong datacenter 'dc2'"],
  ['a segment', [member('a', { segment: 's' })], "Member 'a' part of wrong segment 's' (expected '')"],
])('LAN members: %s', (_, members, problem) => expect(lanMergeProblem(self, members)).toBe(problem));

test('only servers join the WAN pool', () => {
  expect(wanMergeProblem([member('a', { role: 'consul' })])).toBeUndefined();
  expect(wanMergeProblem([member('a', {})])).toBe("Member 'a' is not a server");
});
