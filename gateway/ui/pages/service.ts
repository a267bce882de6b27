/** One service: its instances with addresses, tags, metadata and checks. */

import { parseJson } from '../api.ts';
import { byName, countStatuses, shellWord, worstStatus } from '../format.ts';
import { instanceCard } from '../instance-card.ts';
import { createListControls, type ListOf } from '../list-controls.ts';
import { healthOf, type Instance, readInstances } from '../model.ts';
import { emptyState, healthBadges, instanceCount, pageHead, tagList, whenLoaded } from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';

export function servicePage(scope: Scope, name: string): Page {
  const path = `/v1/health/service/${encodeURIComponent(name)}`;
  const instances = scope.watch({ path, query: { dc: scope.dc } }, (answer) =>
    readInstances(parseJson(answer)),
  );
  const controls = createListControls(scope);
  const list: ListOf<Instance> = {
    search: ({ id, node, address, tags, meta }) => ({
      id: [id],
      node: [node],
      address: [address],
      tag: tags,
      meta: meta.flat(),
    }),
    status: ({ checks }) => worstStatus(healthOf(checks)),
    row: (instance) => instanceRow(scope, instance),
    noun: ['instance', 'instances'],
  };
  return {
    title: name,
    view: () => [
      h('p.up', {}, h('a', { href: scope.href({ page: 'services', dc: scope.dc }) }, '‹ All services')),
      pageHead(name),
      whenLoaded(scope, instances, (found) =>
        found.length === 0
          ? [noInstances(scope.origin, name)]
          : [summary(found), ...controls.view(found, list)],
      ),
    ],
  };
}

function summary(instances: readonly Instance[]): Child {
  const tags = [...new Set(instances.flatMap((instance) => instance.tags))].sort(byName);
  const nodes = new Set(instances.map(({ node }) => node)).size;
  const statuses = instances.flatMap(({ checks }) => checks.map(({ status }) => status));
  return h(
    'div.summary',
    {},
    h('span.quiet', {}, instanceCount(instances.length, nodes)),
    healthBadges(countStatuses(statuses)),
    tagList(tags, 20),
  );
}

function instanceRow(scope: Scope, instance: Instance): Child {
  const href = scope.href({ page: 'node', dc: scope.dc, name: instance.node });
  return instanceCard(
    instance,
    instance.id,
    h('span.quiet', {}, ' on '),
    h('a', { href }, instance.node),
    instance.kind !== '' && h('span.kind', {}, instance.kind),
  );
}

function noInstances(origin: string, name: string): Child {
  const body = JSON.stringify({ Name: name, Port: 80 });
  return emptyState(
    'No instances',
    'Nothing of this name is registered, or the token may not see it. Register one:',
    `curl -X PUT --data ${shellWord(body)} ${origin}/v1/agent/service/register`,
  );
}
