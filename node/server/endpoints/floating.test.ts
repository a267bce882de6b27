import { beforeEach, describe, expect, it } from 'vitest';
import type { FloatingRegistration } from '../../../shared/types/floating.ts';
import {
  catalogDeregister,
  catalogRegister,
  catalogServiceNodes,
  healthServiceNodes,
} from '../../rpc/endpoints.ts';
import {
  floatingAssign,
  floatingChecks,
  floatingDeregister,
  floatingGet,
  floatingList,
  floatingOnNode,
  floatingPlace,
  floatingRegister,
} from '../../rpc/floating-endpoints.ts';
import { createStore } from '../../state/store.ts';
import { createStateMachine } from '../fsm.ts';
import { Harness, streamOf } from './harness.ts';
import {
  check,
  deregistration,
  floatingCheck,
  floatingPart,
  healthArgs,
  registration,
  service,
  serviceArgs,
} from './samples.ts';

let harness: Harness;

beforeEach(() => {
  harness = new Harness();
  for (const node of ['n1', 'n2', 'n3'])
    harness.write(catalogRegister, registration(node, { Check: check('serfHealth', 'passing') }));
});

function web(node: string, rest: Partial<FloatingRegistration> = {}): FloatingRegistration {
  const parts = [
    floatingPart(service('web', 'web', { Port: 80 }), [floatingCheck('alive', 'web', 'critical')]),
  ];
  return { node: registration(node), parts, replaceChecks: true, ...rest };
}

/** `node:status` of every instance. */
const shown = () =>
  harness
    .value(healthServiceNodes, healthArgs('web'))
    .map(({ Node, Checks }) => `${Node.Node}:${Checks.find(({ CheckID }) => CheckID === 'alive')?.Status}`);

const report = (node: string, status: string, generation: number) =>
  harness.refusal(
    catalogRegister,
    registration(node, {
      SkipNodeUpdate: true,
      Check: check('alive', status, { ServiceID: 'web', Output: 'beat' }),
      Floating: { ServiceID: 'web', Generation: generation },
    }),
  );

const failNode = (node: string) =>
  harness.write(catalogRegister, registration(node, { Check: check('serfHealth', 'critical') }));

describe('a floating service', () => {
  it('is in the catalog with its checks as soon as it is placed', () => {
    const placed = harness.write(floatingRegister, web('n1'));
    expect(placed).toMatchObject({ id: 'web', node: 'n1', generation: harness.index, since: harness.index });
    expect(shown()).toEqual(['n1:critical']);
    expect(harness.value(floatingOnNode, { node: 'N1' })).toEqual([
      { id: 'web', node: 'n1', generation: harness.index },
    ]);
    expect(harness.value(floatingGet, { node: 'n1', ids: ['web', 'db'] })).toEqual([placed]);
    expect(harness.value(floatingPlace, { kind: 'check', id: 'alive' })).toMatchObject({
      id: 'web',
      node: 'n1',
    });
    expect(harness.value(floatingPlace, { kind: 'service', id: 'other' })).toBeNull();
  });

  it('moves with the status of its checks, in one change', () => {
    const { generation } = harness.write(floatingRegister, web('n1'));
    expect(report('n1', 'passing', generation)).toBeUndefined();
    const seen: string[][] = [];
    harness.store.watch(['service-health:web'], () => seen.push(shown()));
    expect(harness.write(floatingAssign, { moves: [{ id: 'web', generation, node: 'n2' }] })).toEqual([
      'web',
    ]);
    expect(seen).toEqual([['n2:passing']]);
    expect(harness.value(floatingOnNode, { node: 'n1' })).toEqual([]);
    const [placed] = harness.value(floatingGet, { node: 'n2', ids: ['web'] });
    expect(placed).toMatchObject({
      since: harness.index,
      parts: [{ checks: [{ check: { Status: 'passing' } }] }],
    });
  });

  it('is not told of by whoever carried it before', () => {
    const { generation } = harness.write(floatingRegister, web('n1'));
    harness.write(floatingAssign, { moves: [{ id: 'web', generation, node: 'n2' }] });
    expect(report('n1', 'passing', generation)).toMatch(/^500 floating service is not placed so/);
    expect(report('n2', 'passing', generation)).toMatch(/not placed so/);
    harness.write(catalogDeregister, deregistration('n2', { ServiceID: 'web', KeepFloating: true }));
    harness.write(catalogDeregister, deregistration('n2', { CheckID: 'alive', KeepFloating: true }));
    expect(shown()).toEqual(['n2:critical']);
  });

  it('is gone when it was deregistered, and a late word does not bring it back', () => {
    const { generation } = harness.write(floatingRegister, web('n1'));
    expect(harness.write(floatingDeregister, { id: 'web', generation: generation + 1, release: false })).toBe(
      0,
    );
    expect(harness.write(floatingDeregister, { id: 'web', generation: 0, release: false })).toBe(
      harness.index,
    );
    expect(shown()).toEqual([]);
    expect(report('n1', 'passing', generation)).toMatch(/not placed so/);
    expect(harness.write(floatingAssign, { moves: [{ id: 'web', generation, node: 'n2' }] })).toEqual([]);
    expect(harness.write(floatingDeregister, { id: 'web', generation: 0, release: false })).toBe(0);
  });

  it('is gone as well when somebody takes its entry out of the catalog', () => {
    harness.write(floatingRegister, web('n1'));
    harness.write(catalogDeregister, deregistration('n1', { ServiceID: 'web' }));
    expect(harness.value(floatingList, {})).toEqual([]);
  });

  it('stays where it is when it cannot go: unknown node, dead node, node with such a service or check', () => {
    const { generation } = harness.write(floatingRegister, web('n1'));
    const move = (node: string) =>
      harness.write(floatingAssign, { moves: [{ id: 'web', generation, node }] });
    expect(move('n9')).toEqual([]);
    failNode('n2');
    expect(move('n2')).toEqual([]);
    harness.write(catalogRegister, registration('n3', { Service: service('web', 'other') }));
    expect(move('n3')).toEqual([]);
    harness.write(catalogDeregister, deregistration('n3', { ServiceID: 'web' }));
    harness.write(catalogRegister, registration('n3', { Check: check('alive', 'passing') }));
    expect(move('n3')).toEqual([]);
    expect(shown()).toEqual(['n1:critical']);
  });

  it('goes where it is registered next, keeping the status of checks that stay', () => {
    const first = harness.write(floatingRegister, web('n1'));
    report('n1', 'passing', first.generation);
    harness.write(floatingChecks, {
      id: 'web',
      node: 'n1',
      set: [floatingCheck('more', 'web', 'warning')],
      remove: [],
    });
    const merged = harness.write(floatingRegister, web('n2', { replaceChecks: false }));
    expect(merged.parts[0]?.checks.map(({ check: { CheckID, Status } }) => `${CheckID}:${Status}`)).toEqual([
      'alive:passing',
      'more:warning',
    ]);
    expect(shown()).toEqual(['n2:passing']);
    const replaced = harness.write(floatingRegister, web('n2'));
    expect(replaced.parts[0]?.checks).toHaveLength(1);
    expect(replaced.since).toBe(merged.since);
  });

  it('keeps its last statuses while its node is not in the catalog', () => {
    const { generation } = harness.write(floatingRegister, web('n1'));
    report('n1', 'passing', generation);
    expect(harness.refusal(catalogDeregister, deregistration('n1', { KeepFloating: true }))).toMatch(
      /still carries floating services/,
    );
    harness.write(catalogDeregister, deregistration('n1'));
    expect(shown()).toEqual([]);
    harness.write(floatingAssign, { moves: [{ id: 'web', generation, node: 'n2' }] });
    expect(shown()).toEqual(['n2:passing']);
  });

  it('is not placed on a node that is taken for dead, nor is a node declared dead that carries something', () => {
    harness.write(floatingRegister, web('n1'));
    const critical = registration('n1', { Check: check('serfHealth', 'critical'), UnlessFloating: true });
    expect(harness.refusal(catalogRegister, critical)).toMatch(/still carries floating services/);
    failNode('n2');
    expect(harness.refusal(floatingRegister, web('n2'))).toMatch(/not known to be alive/);
    expect(shown()).toEqual(['n1:critical']);
  });

  it('has its IDs to itself', () => {
    const sidecar = { ...floatingPart(service('web-proxy', 'web-proxy'), []), isSidecar: true };
    const [main] = web('n1').parts;
    if (main === undefined) throw new Error('a part is expected');
    harness.write(floatingRegister, web('n1', { parts: [main, sidecar] }));
    const other = { node: registration('n2'), parts: [sidecar], replaceChecks: true };
    expect(harness.refusal(floatingRegister, other)).toBe('500 Service "web-proxy" belongs to "web"');
    const rival = [floatingPart(service('db', 'db'), [floatingCheck('alive', 'db', 'passing')])];
    expect(harness.refusal(floatingRegister, web('n1', { parts: rival }))).toMatch(
      /Check "alive" belongs to "web"/,
    );
    harness.write(floatingDeregister, { id: 'web-proxy', generation: 0, release: false });
    expect(harness.value(catalogServiceNodes, serviceArgs('web-proxy'))).toEqual([]);
    expect(shown()).toEqual(['n1:critical']);
  });

  it('can be given to the agent that carries it', () => {
    harness.write(floatingRegister, web('n1'));
    harness.write(floatingDeregister, { id: 'web', generation: 0, release: true });
    expect(harness.value(floatingList, {})).toEqual([]);
    expect(shown()).toEqual(['n1:critical']);
  });
});

it('placements are in snapshots, and snapshots from before there were any can be read', async () => {
  const empty = await harness.snapshot();
  const { generation } = harness.write(floatingRegister, web('n1'));
  const bytes = await harness.snapshot();
  const store = createStore();
  await createStateMachine(store).restore(streamOf(bytes));
  expect(store.tables.floatingByCheck.get('alive')).toMatchObject({ id: 'web', node: 'n1', generation });
  expect([...store.tables.floatingByNode.entries()]).toHaveLength(1);
  const name = Buffer.from('\u00a8floating', 'latin1');
  const at = empty.indexOf(name);
  expect(at).toBeGreaterThan(0);
  const older = Buffer.concat([empty.subarray(0, at - 4), empty.subarray(at + name.length)]);
  await expect(createStateMachine(createStore()).restore(streamOf(older))).resolves.toBeUndefined();
});
