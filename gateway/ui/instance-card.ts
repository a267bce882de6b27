/** One instance of a service with its checks, as the service page and the node page show it. */

import { counted, hostPort, worstStatus } from './format.ts';
import { type Check, healthOf, type Instance } from './model.ts';
import { checkStatus, healthBadges, metaList, statusIcon, tagList } from './parts.ts';
import { type Child, type ElementTree, h } from './tree.ts';

/** @param titleLinks what stands in the title line: the node's link on a service page, the service's on a node page */
export function instanceCard(instance: Instance, ...titleLinks: Child[]): ElementTree {
  const { id, node, address, port, tags, meta, checks } = instance;
  const health = healthOf(checks);
  return h(
    'li.card',
    { key: `${node} ${id}` },
    h(
      'div.card-head',
      {},
      statusIcon(worstStatus(health)),
      h('h3', {}, ...titleLinks),
      h('code.address', {}, hostPort(address, port)),
      healthBadges(health),
    ),
    h('div.card-body', {}, tagList(tags), metaList(meta)),
    checkDetails(checks),
  );
}

/** Open where something is wrong. */
export function checkDetails(checks: readonly Check[]): Child {
  if (checks.length === 0) return false;
  const isFailing = checks.some(({ status }) => status !== 'passing');
  return h(
    'details',
    { open: isFailing },
    h('summary', {}, counted(checks.length, 'check')),
    checkList(checks, 'node check'),
  );
}

/** @param ofNode what is said of checks that are the node's and not a service's */
export function checkList(checks: readonly Check[], ofNode = ''): ElementTree {
  return h(
    'ul.checks',
    {},
    checks.map((check) => checkRow(check, check.serviceId === '' ? ofNode : '')),
  );
}

function checkRow({ id, name, status, type, notes, output, serviceId }: Check, kind: string): ElementTree {
  return h(
    'li',
    { key: `${serviceId} ${id}` },
    h(
      'div.check-head',
      {},
      statusIcon(checkStatus(status)),
      h('strong', {}, name),
      h('span.quiet', {}, [kind, type, notes].filter(Boolean).join(' · ')),
    ),
    output !== '' && h('pre', { tabindex: 0, 'aria-label': `Output of ${name}` }, output.trimEnd()),
  );
}
