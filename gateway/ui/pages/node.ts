/** One node: its addresses, checks and services. */

import { parseJson } from '../api.ts';
import { counted } from '../format.ts';
import { checkList, instanceCard } from '../instance-card.ts';
import { healthOf, isLeaderNode, type NodeEntry, readNode } from '../model.ts';
import { emptyState, factList, healthBadges, pageHead, whenLoaded } from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';
import { watchLeader } from './leader.ts';

export function nodePage(scope: Scope, name: string): Page {
  const path = `/v1/internal/ui/node/${encodeURIComponent(name)}`;
  const node = scope.watch({ path, query: { dc: scope.dc } }, (answer) =>
    answer.isFound ? readNode(parseJson(answer)) : 'none',
  );
  const leader = watchLeader(scope);
  return {
    title: name,
    view: () => [
      h('p.up', {}, h('a', { href: scope.href({ page: 'nodes', dc: scope.dc }) }, '‹ All nodes')),
      pageHead(name),
      whenLoaded(scope, node, (found) =>
        found === 'none' ? [noNode()] : nodeBody(scope, found, isLeaderNode(found, leader())),
      ),
    ],
  };
}

function nodeBody(scope: Scope, node: NodeEntry, isLeader: boolean): Child[] {
  const ownChecks = node.checks.filter(({ serviceId }) => serviceId === '');
  const addresses = node.taggedAddresses.filter(([, address]) => address !== node.address);
  return [
    h(
      'div.summary',
      {},
      isLeader && h('span.kind.leader', {}, 'leader'),
      h('code.address', {}, node.address),
      healthBadges(healthOf(node.checks)),
    ),
    h(
      'section.card',
      { 'aria-label': 'Facts' },
      factList([['Node ID', node.id || 'none'], ...addresses, ...node.meta]),
    ),
    h('h2', {}, 'Node checks'),
    ownChecks.length === 0
      ? h('p.quiet', {}, 'This node has no checks of its own.')
      : h('section.card', { 'aria-label': 'Node checks' }, checkList(ownChecks)),
    h('h2', {}, counted(node.instances.length, 'service')),
    node.instances.length === 0
      ? h('p.quiet', {}, 'No services are registered here.')
      : h(
          'ul.rows',
          {},
          node.instances.map((instance) => {
            const href = scope.href({ page: 'service', dc: scope.dc, name: instance.service });
            const id = instance.id === instance.service ? '' : instance.id;
            return instanceCard(
              instance,
              h('a', { href }, instance.service),
              id !== '' && h('span.quiet', {}, ` ${id}`),
              instance.kind !== '' && h('span.kind', {}, instance.kind),
            );
          }),
        ),
  ];
}

function noNode(): Child {
  return emptyState('No such node', 'The catalog has no node of this name, or the token may not see it.');
}
