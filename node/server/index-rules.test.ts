/** Which index each read has, and what wakes who waits for it: the reference's tables, row by row. */

import { describe, expect, it } from 'vitest';
import type { ReadEndpoint } from '../rpc/endpoint.ts';
import {
  catalogDeregister,
  catalogListNodes,
  catalogListServices,
  catalogNodeServiceList,
  catalogNodeServices,
  catalogRegister,
  catalogServiceNodes,
  coordinateListNodes,
  healthChecksInState,
  healthNodeChecks,
  healthServiceChecks,
  healthServiceNodes,
  kvApply,
  kvGet,
  kvList,
  kvListKeys,
  NO_MODIFIERS,
  sessionCreate,
  sessionDestroy,
  sessionGet,
  sessionList,
  sessionNodeSessions,
} from '../rpc/endpoints.ts';
import { updateCoordinatesCommand } from './commands.ts';
import { Harness, streamOf } from './endpoints/harness.ts';
import {
  check,
  deregistration,
  healthArgs,
  kvWrite,
  registration,
  service,
  serviceArgs,
  sessionArgs,
} from './endpoints/samples.ts';

type Act = (harness: Harness) => unknown;
type Ask = (harness: Harness) => { index: number; topics: readonly string[] };

const ask =
  <Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): Ask =>
  (harness) =>
    harness.read(endpoint, args);

const register =
  (...args: Parameters<typeof registration>): Act =>
  (harness) =>
    harness.write(catalogRegister, registration(...args));
const deregister =
  (...args: Parameters<typeof deregistration>): Act =>
  (harness) =>
    harness.write(catalogDeregister, deregistration(...args));
const kv =
  (...args: Parameters<typeof kvWrite>): Act =>
  (harness) =>
    harness.write(kvApply, kvWrite(...args));

/** n1 and n2 with an instance of web each, n1 also with db; checks on everything; some keys; a session on n1. */
let session = '';
function populated(): Harness {
  const harness = new Harness();
  register('n1', { Service: service('web1', 'web', { Tags: ['a'] }), Checks: [check('mem', 'passing')] })(
    harness,
  );
  register('n1', { Check: check('web1-up', 'passing', { ServiceID: 'web1' }) })(harness);
  register('n1', { Service: service('db1', 'db'), Check: check('db1-up', 'passing', { ServiceID: 'db1' }) })(
    harness,
  );
  register('n2', { Service: service('web2', 'web') })(harness);
  register('n3')(harness);
  kv('set', 'a/1', 'one')(harness);
  kv('set', 'a/2', 'two')(harness);
  kv('set', 'b/1', 'three')(harness);
  session = harness.write(sessionCreate, sessionArgs('n1'));
  return harness;
}

const newInstance = register('n3', { Service: service('web3', 'web') });
const changedInstance = register('n2', { Service: service('web2', 'web', { Port: 9 }) });
const removedInstance = deregister('n2', { ServiceID: 'web2' });
const sameInstance = register('n2', { Service: service('web2', 'web') });
const nodeOfWeb = register('n2', { Address: '10.9.9.9' });
const nodeWithoutWeb = register('n3', { Address: '10.9.9.9' });
const webCheck = register('n1', { Check: check('web1-up', 'critical', { ServiceID: 'web1' }) });
const webCheckOutput = register('n1', {
  Check: check('web1-up', 'passing', { ServiceID: 'web1', Output: 'x' }),
});
const nodeCheck = register('n1', { Check: check('mem', 'warning') });
const sameNodeCheck = register('n1', { Check: check('mem', 'passing') });
const removedNodeCheck = deregister('n1', { CheckID: 'mem' });
const dbCheck = register('n1', { Check: check('db1-up', 'critical', { ServiceID: 'db1' }) });
const dbInstance = register('n1', { Service: service('db1', 'db', { Port: 9 }) });
const lastDb = deregister('n1', { ServiceID: 'db1' });
const newService = register('n3', { Service: service('new1', 'new') });
const retagged = register('n1', { Service: service('web1', 'other') });
const anyKey = kv('set', 'zzz', 'x');
const endSession: Act = (harness) => harness.write(sessionDestroy, { id: session });
const otherSession: Act = (harness) => harness.write(sessionCreate, sessionArgs('n2'));
const coordinates: Act = (harness) =>
  harness.apply(
    updateCoordinatesCommand([
      { node: 'n1', coordinate: { Vec: [1, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 0 } },
    ]),
  );

const catalogWeb = ask(catalogServiceNodes, serviceArgs('WEB'));
const healthWeb = ask(healthServiceNodes, healthArgs('web'));
const catalogUnknown = ask(catalogServiceNodes, serviceArgs('new'));
const healthUnknown = ask(healthServiceNodes, healthArgs('new'));
const services = ask(catalogListServices, { nodeMeta: {} });
const nodes = ask(catalogListNodes, NO_MODIFIERS);
const node1 = ask(catalogNodeServices, { node: 'N1', filter: '' });
const node1List = ask(catalogNodeServiceList, { node: 'n1', filter: '' });
const node9 = ask(catalogNodeServices, { node: 'n9', filter: '' });
const checksOfNode = ask(healthNodeChecks, { node: 'n1', filter: '' });
const checksOfWeb = ask(healthServiceChecks, { service: 'web', ...NO_MODIFIERS });
const critical = ask(healthChecksInState, { state: 'critical', ...NO_MODIFIERS });
const passing = ask(healthChecksInState, { state: 'passing', ...NO_MODIFIERS });
const anyState = ask(healthChecksInState, { state: 'any', ...NO_MODIFIERS });
const key = ask(kvGet, { key: 'a/1' });
const missingKey = ask(kvGet, { key: 'c/1' });
const tree = ask(kvList, { prefix: 'a/' });
const keys = ask(kvListKeys, { prefix: 'a/', separator: '/' });
const emptyTree = ask(kvList, { prefix: 'none/' });
const wholeTree = ask(kvList, { prefix: '' });
const sessions = ask(sessionList, {});
const thisSession: Ask = (harness) => harness.read(sessionGet, { id: session });
const sessionsOfNode = ask(sessionNodeSessions, { node: 'n1' });
const allCoordinates = ask(coordinateListNodes, {});

/** What happens to the waiting read: woken (and its index is higher), only raised, or neither. */
type Effect = 'wakes' | 'raises' | 'nothing';

const ROWS: readonly (readonly [string, Ask, readonly (readonly [Effect, string, Act])[]])[] = [
  [
    'catalog/service/web',
    catalogWeb,
    [
      ['wakes', 'an instance added', newInstance],
      ['wakes', 'an instance changed', changedInstance],
      ['wakes', 'an instance removed', removedInstance],
      ['wakes', 'an instance given to another service', retagged],
      ['wakes', 'the record of its node', nodeOfWeb],
      ['wakes', 'its node removed', deregister('n2')],
      ['raises', 'a check of it', webCheck],
      ['raises', 'a check of its node', nodeCheck],
      ['raises', 'a check of its node removed', removedNodeCheck],
      ['nothing', 'the same registration again', sameInstance],
      ['nothing', 'a node without it', nodeWithoutWeb],
      ['nothing', 'another service', dbInstance],
      ['nothing', 'a check of another service', dbCheck],
      ['nothing', 'the last instance of another service removed', lastDb],
      ['nothing', 'a key', anyKey],
    ],
  ],
  [
    'health/service/web',
    healthWeb,
    [
      ['wakes', 'an instance added', newInstance],
      ['wakes', 'an instance changed', changedInstance],
      ['wakes', 'an instance removed', removedInstance],
      ['wakes', 'an instance given to another service', retagged],
      ['wakes', 'the record of its node', nodeOfWeb],
      ['wakes', 'a check of it', webCheck],
      ['wakes', 'the output of a check of it', webCheckOutput],
      ['wakes', 'a check of its node', nodeCheck],
      ['wakes', 'a check of its node removed', removedNodeCheck],
      ['nothing', 'the same check again', sameNodeCheck],
      ['nothing', 'a check of another service', dbCheck],
      ['nothing', 'another service', dbInstance],
      ['nothing', 'a key', anyKey],
    ],
  ],
  [
    'catalog/service/new, unknown, before any extinction',
    catalogUnknown,
    [
      ['wakes', 'itself registered', newService],
      ['raises', 'another service', dbInstance],
      ['raises', 'a node', nodeWithoutWeb],
      ['raises', 'another extinct', lastDb],
      ['nothing', 'a check', dbCheck],
      ['nothing', 'a key', anyKey],
    ],
  ],
  [
    'health/service/new, unknown, before any extinction',
    healthUnknown,
    [
      ['wakes', 'itself registered', newService],
      ['raises', 'another service', dbInstance],
      ['raises', 'a check', dbCheck],
      ['nothing', 'a key', anyKey],
    ],
  ],
  [
    'catalog/services',
    services,
    [
      ['wakes', 'an instance added', newInstance],
      ['wakes', 'an instance changed', changedInstance],
      ['wakes', 'an instance removed', removedInstance],
      ['raises', 'a check of a node removed', removedNodeCheck],
      ['nothing', 'a check', webCheck],
      ['nothing', 'a node', nodeOfWeb],
    ],
  ],
  [
    'catalog/nodes',
    nodes,
    [
      ['wakes', 'a node added', register('n9')],
      ['wakes', 'a node changed', nodeOfWeb],
      ['wakes', 'a node removed', deregister('n3')],
      ['nothing', 'the same node again', register('n3')],
      ['nothing', 'a service', newInstance],
      ['nothing', 'a check', nodeCheck],
    ],
  ],
  ...(
    [
      ['catalog/node/n1', node1],
      ['catalog/node-services/n1', node1List],
    ] as const
  ).map(
    ([name, query]) =>
      [
        name,
        query,
        [
          ['wakes', 'its record', register('n1', { Address: '10.9.9.9' })],
          ['wakes', 'its services', dbInstance],
          ['wakes', 'a service of it removed', lastDb],
          ['wakes', 'itself removed', deregister('n1')],
          ['raises', 'another node', nodeWithoutWeb],
          ['raises', 'a service of another node', changedInstance],
          ['nothing', 'a check', nodeCheck],
        ],
      ] as const,
  ),
  [
    'catalog/node/n9, unknown',
    node9,
    [
      ['wakes', 'itself registered', register('n9')],
      ['nothing', 'a key', anyKey],
    ],
  ],
  [
    'health/node/n1',
    checksOfNode,
    [
      ['wakes', 'a check of it', nodeCheck],
      ['wakes', 'a check of a service on it', dbCheck],
      ['wakes', 'a check of it removed', removedNodeCheck],
      ['raises', 'a check of another node', register('n2', { Check: check('x', 'passing') })],
      ['nothing', 'a service', newInstance],
    ],
  ],
  [
    'health/checks/web',
    checksOfWeb,
    [
      ['wakes', 'a check of it', webCheck],
      ['wakes', 'a check of it removed', deregister('n1', { CheckID: 'web1-up' })],
      ['raises', 'a check of another service', dbCheck],
      ['raises', 'a check of its node', nodeCheck],
      ['nothing', 'an instance', newInstance],
    ],
  ],
  [
    'health/state/critical',
    critical,
    [
      ['wakes', 'a check entering it', webCheck],
      ['raises', 'a check changing between others', nodeCheck],
      ['nothing', 'the same check again', sameNodeCheck],
    ],
  ],
  [
    'health/state/passing',
    passing,
    [
      ['wakes', 'a check leaving it', webCheck],
      ['wakes', 'the output of a check in it', webCheckOutput],
      ['raises', 'a check appearing in another', register('n2', { Check: check('x', 'critical') })],
    ],
  ],
  [
    'health/state/any',
    anyState,
    [
      ['wakes', 'any check', nodeCheck],
      ['wakes', 'a check removed', removedNodeCheck],
    ],
  ],
  [
    'kv/a/1',
    key,
    [
      ['wakes', 'its change', kv('set', 'a/1', 'changed')],
      ['wakes', 'its deletion', kv('delete', 'a/1')],
      ['wakes', 'the deletion of its tree', kv('delete-tree', 'a')],
      ['nothing', 'the same value again', kv('set', 'a/1', 'one')],
      ['nothing', 'another key', kv('set', 'a/2', 'x')],
      ['nothing', 'a key below it', kv('set', 'a/1/x', 'x')],
    ],
  ],
  [
    'kv/c/1, missing',
    missingKey,
    [
      ['wakes', 'its creation', kv('set', 'c/1', 'x')],
      ['raises', 'another key', anyKey],
      ['nothing', 'deleting what is not there', kv('delete', 'c/1')],
    ],
  ],
  ...(
    [
      ['kv/a/?recurse', tree],
      ['kv/a/?keys', keys],
    ] as const
  ).map(
    ([name, query]) =>
      [
        name,
        query,
        [
          ['wakes', 'a change under it', kv('set', 'a/2', 'x')],
          ['wakes', 'a new key under it', kv('set', 'a/x/y', 'x')],
          ['wakes', 'a deletion under it', kv('delete', 'a/1')],
          ['wakes', 'the deletion of everything under it', kv('delete-tree', 'a/')],
          ['wakes', 'the deletion of a larger tree', kv('delete-tree', 'a')],
          ['wakes', 'the deletion of all keys', kv('delete-tree', '')],
          ['nothing', 'another key', kv('set', 'b/1', 'x')],
          ['nothing', 'a key that is its beginning', kv('set', 'a', 'x')],
          ['nothing', 'a deletion elsewhere', kv('delete', 'b/1')],
          ['nothing', 'the same value again', kv('set', 'a/2', 'two')],
        ],
      ] as const,
  ),
  [
    'kv/none/?recurse, nothing there',
    emptyTree,
    [
      ['wakes', 'a first key under it', kv('set', 'none/1', 'x')],
      ['raises', 'another key', anyKey],
    ],
  ],
  [
    'kv/?recurse',
    wholeTree,
    [
      ['wakes', 'any key', anyKey],
      ['wakes', 'any deletion', kv('delete', 'b/1')],
    ],
  ],
  [
    'session/list',
    sessions,
    [
      ['wakes', 'a session created', otherSession],
      ['wakes', 'a session ended', endSession],
      ['wakes', 'the node of one removed', deregister('n1')],
      ['nothing', 'a key', anyKey],
    ],
  ],
  [
    'session/info',
    thisSession,
    [
      ['wakes', 'its end', endSession],
      ['raises', 'another session', otherSession],
    ],
  ],
  [
    'session/node/n1',
    sessionsOfNode,
    [
      ['wakes', 'an end', endSession],
      ['raises', 'another node', otherSession],
    ],
  ],
  [
    'coordinate/nodes',
    allCoordinates,
    [
      ['wakes', 'an update', coordinates],
      ['nothing', 'a node', nodeOfWeb],
    ],
  ],
];

describe.each(ROWS)('waiting on %s', (_, query, effects) => {
  it.each(effects)('%s: %s', (expected, __, act) => {
    const harness = populated();
    const before = query(harness);
    let wakes = 0;
    harness.store.watch(before.topics, () => wakes++);
    act(harness);
    const after = query(harness);
    const effect: Effect = wakes > 0 ? 'wakes' : after.index > before.index ? 'raises' : 'nothing';
    expect(effect).toBe(expected);
    if (expected !== 'nothing') expect(after.index).toBe(harness.index);
    else expect(after.index).toBe(before.index);
  });
});

describe('indexes', () => {
  it('are 1 for everything in an empty state', () => {
    const harness = new Harness();
    for (const [, query] of ROWS.filter(([name]) => name !== 'session/info')) {
      expect(query(harness).index).toBe(1);
    }
  });

  it('of a service without instances is that of the last extinction of any service', () => {
    const harness = populated();
    lastDb(harness);
    const extinction = harness.index;
    expect(catalogUnknown(harness).index).toBe(extinction);
    expect(healthUnknown(harness).index).toBe(extinction);
    nodeWithoutWeb(harness);
    newInstance(harness);
    expect(catalogUnknown(harness).index).toBe(extinction);
    newService(harness);
    expect(catalogUnknown(harness).index).toBe(harness.index);
  });

  it('of catalog/services with node-meta covers nodes too', () => {
    const harness = populated();
    nodeWithoutWeb(harness);
    expect(services(harness).index).toBeLessThan(harness.index);
    expect(ask(catalogListServices, { nodeMeta: { a: 'b' } })(harness).index).toBe(harness.index);
  });

  it('of a key is its ModifyIndex whatever else is written', () => {
    const harness = populated();
    const before = key(harness).index;
    anyKey(harness);
    expect(key(harness).index).toBe(before);
    expect(harness.value(kvGet, { key: 'a/1' })[0]?.ModifyIndex).toBe(before);
  });

  it('under a prefix stays at the deletion while others write, and does not fall when tombstones are reaped', async () => {
    const harness = populated();
    kv('delete', 'a/2')(harness);
    const deletion = harness.index;
    anyKey(harness);
    expect(tree(harness).index).toBe(deletion);
    harness.apply({ type: 'tombstone-reap', upToIndex: deletion, nowMs: 0 });
    expect(tree(harness).index).toBe(deletion);
    expect(harness.store.tables.tombstones.size).toBe(0);
    const other = new Harness();
    await other.machine.restore(streamOf(await harness.snapshot()));
    expect(tree(other).index).toBe(deletion);
  });

  it('under a prefix does not fall to an older tombstone when a larger tree is deleted', () => {
    const harness = populated();
    kv('delete', 'a/1')(harness);
    kv('set', 'a/2', 'newer')(harness);
    const before = tree(harness).index;
    kv('delete-tree', 'a')(harness);
    expect(tree(harness).index).toBeGreaterThan(before);
  });
});
