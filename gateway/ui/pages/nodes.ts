/** All nodes with their health; the leader is marked. */

import { parseJson } from '../api.ts';
import { counted, worstStatus } from '../format.ts';
import { createListControls, type ListOf } from '../list-controls.ts';
import { healthOf, isLeaderNode, type NodeEntry, readNodes } from '../model.ts';
import { emptyState, healthBadges, pageHead, statusIcon, whenLoaded } from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';
import { watchLeader } from './leader.ts';

export function nodesPage(scope: Scope): Page {
  const request = { path: '/v1/internal/ui/nodes', query: { dc: scope.dc } };
  const nodes = scope.watch(request, (answer) => readNodes(parseJson(answer)));
  const leader = watchLeader(scope);
  const controls = createListControls(scope);
  const list: ListOf<NodeEntry> = {
    search: ({ name, address, instances, meta }) => ({
      name: [name],
      address: [address],
      service: instances.map(({ service }) => service),
      meta: meta.flat(),
    }),
    status: ({ checks }) => worstStatus(healthOf(checks)),
    row: (node) => nodeRow(scope, node, leader()),
    noun: ['node', 'nodes'],
  };
  return {
    title: 'Nodes',
    view: () => [
      pageHead('Nodes'),
      whenLoaded(scope, nodes, (entries) =>
        entries.length === 0 ? [noNodes()] : controls.view(entries, list),
      ),
    ],
  };
}

function nodeRow(scope: Scope, node: NodeEntry, leader: string): Child {
  const health = healthOf(node.checks);
  return h(
    'li.row',
    { key: node.name },
    statusIcon(worstStatus(health)),
    h(
      'div.main',
      {},
      h('a.title', { href: scope.href({ page: 'node', dc: scope.dc, name: node.name }) }, node.name),
      isLeaderNode(node, leader) && h('span.kind.leader', {}, 'leader'),
      h('code.address', {}, node.address),
    ),
    h('div.side', {}, h('span.quiet', {}, counted(node.instances.length, 'service')), healthBadges(health)),
  );
}

function noNodes(): Child {
  return emptyState(
    'No nodes',
    'The catalog has no nodes, or the token may not see them. Add an agent to the pool:',
    'proconsul agent -data-dir=/var/lib/proconsul -retry-join=ADDRESS',
  );
}
