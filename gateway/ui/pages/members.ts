/** The gossip pool, the Raft peers, and the agent that answers. */

import { parseJson } from '../api.ts';
import { counted, hostPort, type Status } from '../format.ts';
import { type Member, type RaftPeer, readMembers, readPeers, readSelf } from '../model.ts';
import { type Column, factList, pageHead, statusBadge, table, whenLoaded } from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';

const MEMBER_HEALTH: Readonly<Record<string, Status>> = {
  alive: 'passing',
  leaving: 'warning',
  failed: 'critical',
};

export function membersPage(scope: Scope): Page {
  const query = { dc: scope.dc };
  const members = scope.watch({ path: '/v1/agent/members' }, (answer) => readMembers(parseJson(answer)));
  const peers = scope.watch({ path: '/v1/operator/raft/configuration', query }, (answer) =>
    readPeers(parseJson(answer)),
  );
  const self = scope.watch({ path: '/v1/agent/self' }, (answer) => readSelf(parseJson(answer)));
  return {
    title: 'Members',
    view: () => [
      pageHead('Members', h('p.quiet', {}, 'Updated every 10 seconds')),
      h('section', { 'aria-labelledby': 'pool' }, [
        h('h2', { id: 'pool' }, 'Gossip pool'),
        whenLoaded(scope, members, (found) => [membersTable(scope, found)]),
      ]),
      h('section', { 'aria-labelledby': 'raft' }, [
        h('h2', { id: 'raft' }, 'Raft peers'),
        whenLoaded(scope, peers, (found) => [peersTable(found)]),
      ]),
      h('section', { 'aria-labelledby': 'self' }, [
        h('h2', { id: 'self' }, 'The agent that answers'),
        whenLoaded(scope, self, (facts) => [h('div.card', {}, factList(facts))]),
      ]),
    ],
  };
}

function membersTable(scope: Scope, members: readonly Member[]): Child {
  const columns: readonly Column<Member>[] = [
    {
      title: 'Name',
      cell: ({ name }) => h('a', { href: scope.href({ page: 'node', dc: scope.dc, name }) }, name),
    },
    { title: 'Status', cell: ({ status }) => statusBadge(MEMBER_HEALTH[status] ?? 'none', status) },
    { title: 'Address', cell: ({ address, port }) => h('code', {}, hostPort(address, port)) },
    { title: 'Type', cell: ({ isServer }) => (isServer ? 'server' : 'client') },
    { title: 'Build', cell: ({ build }) => build },
    { title: 'Protocol', cell: ({ protocol }) => protocol },
    { title: 'DC', cell: ({ datacenter }) => datacenter },
  ];
  const caption = `Members: ${counted(members.length, 'agent')}`;
  return table(caption, columns, members, ({ name, address, port }) => `${name} ${address} ${port}`);
}

function peersTable(peers: readonly RaftPeer[]): Child {
  const columns: readonly Column<RaftPeer>[] = [
    { title: 'Node', cell: ({ node }) => node },
    {
      title: 'Role',
      cell: ({ isLeader }) => (isLeader ? h('span.kind.leader', {}, 'leader') : 'follower'),
    },
    { title: 'Voter', cell: ({ isVoter }) => (isVoter ? 'yes' : 'no') },
    { title: 'Address', cell: ({ address }) => h('code', {}, address) },
    { title: 'ID', cell: ({ id }) => h('code', {}, id) },
    { title: 'Protocol', cell: ({ protocol }) => protocol },
  ];
  return table(`Raft peers: ${counted(peers.length, 'server')}`, columns, peers, ({ id }) => id);
}
