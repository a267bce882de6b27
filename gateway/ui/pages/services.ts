/** All services with their health. */

import { parseJson } from '../api.ts';
import { shellWord, worstStatus } from '../format.ts';
import { createListControls, type ListOf } from '../list-controls.ts';
import { readServices, type ServiceRow } from '../model.ts';
import {
  emptyState,
  healthBadges,
  instanceCount,
  pageHead,
  statusIcon,
  tagList,
  whenLoaded,
} from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';

const SHOWN_TAGS = 8;

export function servicesPage(scope: Scope): Page {
  const request = { path: '/v1/internal/ui/services', query: { dc: scope.dc } };
  const services = scope.watch(request, (answer) => readServices(parseJson(answer)));
  const controls = createListControls(scope);
  const list: ListOf<ServiceRow> = {
    search: ({ name, tags }) => ({ name: [name], tag: tags }),
    status: ({ health }) => worstStatus(health),
    row: (service) => serviceRow(scope, service),
    noun: ['service', 'services'],
  };
  return {
    title: 'Services',
    view: () => [
      pageHead('Services'),
      whenLoaded(scope, services, (rows) =>
        rows.length === 0 ? [noServices(scope.origin)] : controls.view(rows, list),
      ),
    ],
  };
}

function serviceRow(scope: Scope, { name, kind, tags, instances, nodes, health }: ServiceRow): Child {
  const href = scope.href({ page: 'service', dc: scope.dc, name });
  return h(
    'li.row',
    { key: name },
    statusIcon(worstStatus(health)),
    h(
      'div.main',
      {},
      h('a.title', { href }, name),
      kind !== '' && h('span.kind', {}, kind),
      tagList(tags, SHOWN_TAGS),
    ),
    h('div.side', {}, h('span.quiet', {}, instanceCount(instances, nodes)), healthBadges(health)),
  );
}

function noServices(origin: string): Child {
  const body = '{"Name":"web","Port":80,"Tags":["rails"]}';
  return emptyState(
    'No services',
    'Nothing is registered, or the token may not see it. Register one:',
    `curl -X PUT --data ${shellWord(body)} ${origin}/v1/agent/service/register`,
  );
}
