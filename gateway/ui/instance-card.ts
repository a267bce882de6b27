/** One instance of a service with its checks, as the service page and the node page show it. */

import { counted, hostPort, worstStatus } from './format.ts';
import { type Check, healthOf, type Instance } from './model.ts';
import { checkStatus, factList, healthBadges, statusIcon, tagList } from './parts.ts';
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
    h('div.card-body', {}, tagList(tags), factList(meta)),
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
    checkList(checks),
  );
}

export function checkList(checks: readonly Check[]): ElementTree {
  return h('ul.checks', {}, checks.map(checkRow));
}

function checkRow({ id, name, status, type, notes, output, serviceId }: Check): ElementTree {
  return h(
    'li',
    { key: `${serviceId} ${id}` },
    h(
      'div.check-head',
      {},
      statusIcon(checkStatus(status)),
      h('strong', {}, name),
      h('span.quiet', {}, [serviceId === '' ? 'node check' : '', type, notes].filter(Boolean).join(' · ')),
    ),
    output !== '' && h('pre', { tabindex: 0, 'aria-label': `Output of ${name}` }, output.trimEnd()),
  );
}
