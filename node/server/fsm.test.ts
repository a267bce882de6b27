/** What must hold for every history: servers agree, snapshots are complete, no change is missed, no index falls. */

import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { randomInt } from '../../shared/env.ts';
import type { SeededRandom } from '../../shared/simulated-env.ts';
import { DEFAULT_AUTOPILOT } from '../../shared/types/autopilot.ts';
import type { FloatingMove, FloatingRegistration } from '../../shared/types/floating.ts';
import type { TxnOp } from '../../shared/types/txn.ts';
import type { LogIndex, Term } from '../raft/types.ts';
import {
  type ConfigEntryApplyArgs,
  catalogGatewayServices,
  configEntryApply,
  configEntryGet,
  configEntryList,
  internalGatewayServiceSummary,
} from '../rpc/config-endpoints.ts';
import {
  catalogServiceAtAddress,
  internalNodeDump,
  internalNodeInfo,
  internalServiceDump,
  internalServiceSummary,
} from '../rpc/dump-endpoints.ts';
import type { ReadEndpoint } from '../rpc/endpoint.ts';
import {
  catalogDeregister,
  catalogListNodes,
  catalogListServices,
  catalogNodeServiceList,
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
import {
  floatingAssign,
  floatingChecks,
  floatingDeregister,
  floatingList,
  floatingOnNode,
  floatingPlace,
  floatingRegister,
} from '../rpc/floating-endpoints.ts';
import { preparedQueryApply, preparedQueryList, type QueryApplyArgs } from '../rpc/query-endpoints.ts';
import { txnApply } from '../rpc/txn-endpoints.ts';
import { createStore } from '../state/store.ts';
import {
  encodeCommand,
  reapTombstonesCommand,
  setAutopilotCommand,
  updateCoordinatesCommand,
} from './commands.ts';
import { BEFORE_FIRST, Harness, streamOf } from './endpoints/harness.ts';
import {
  check,
  deregistration,
  floatingCheck,
  floatingPart,
  healthArgs,
  kvWrite,
  NO_TEMPLATE,
  preparedQuery,
  registration,
  service,
  serviceArgs,
  sessionArgs,
  txnCheck,
  txnKv,
  txnNode,
  txnService,
} from './endpoints/samples.ts';
import { createStateMachine } from './fsm.ts';

interface Question {
  readonly name: string;
  ask(harness: Harness): { value: unknown; index: number; topics: readonly string[] };
}

function question<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): Question {
  return {
    name: `${endpoint.name} ${JSON.stringify(args)}`,
    ask: (harness) => harness.read(endpoint, args),
  };
}

const NAMES = ['web', 'Web', 'db'];
const NODES = ['n1', 'N1', 'n2', 'n3'];
const KEYS = ['', 'a', 'a/1', 'a/2', 'a/b/c', 'b', 'é/1', '\u{10000}', '\uffff'];
const META = { rack: 'r1' };

const QUESTIONS: readonly Question[] = [
  question(catalogListNodes, NO_MODIFIERS),
  question(catalogListNodes, { ...NO_MODIFIERS, nodeMeta: META }),
  question(catalogListServices, { nodeMeta: {} }),
  question(catalogListServices, { nodeMeta: META }),
  ...['web', 'db'].flatMap((name) => [
    question(catalogServiceNodes, serviceArgs(name)),
    question(catalogServiceNodes, serviceArgs(name, { kind: 'connect' })),
    question(healthServiceNodes, healthArgs(name)),
    question(healthServiceNodes, healthArgs(name, { passingOnly: true, tags: ['t1'] })),
    question(healthServiceNodes, healthArgs(name, { nodeMeta: META })),
    question(healthServiceNodes, healthArgs(name, { kind: 'connect' })),
    question(healthServiceChecks, { service: name, ...NO_MODIFIERS }),
    question(healthServiceChecks, { service: name, ...NO_MODIFIERS, nodeMeta: META }),
  ]),
  ...['n1', 'n2'].flatMap((node) => [
    question(catalogNodeServiceList, { node, filter: '' }),
    question(healthNodeChecks, { node, filter: '' }),
    question(sessionNodeSessions, { node }),
  ]),
  ...['aaaa', 'aaaaaaaa-0000-0000-0000-000000000001'].map((node) =>
    question(catalogNodeServiceList, { node, filter: '' }),
  ),
  ...['any', 'passing', 'critical'].map((state) => question(healthChecksInState, { state, ...NO_MODIFIERS })),
  ...['a', 'a/1', 'é/1'].map((key) => question(kvGet, { key })),
  ...['', 'a', 'a/', 'a/b', 'zzz'].flatMap((prefix) => [
    question(kvList, { prefix }),
    question(kvListKeys, { prefix, separator: '/' }),
    question(kvListKeys, { prefix, separator: '' }),
  ]),
  question(sessionList, {}),
  question(coordinateListNodes, {}),
  question(internalServiceDump, { filter: '' }),
  question(internalServiceSummary, { filter: 'Service.Service == web' }),
  question(internalNodeDump, { filter: '' }),
  question(internalNodeInfo, { node: 'n1' }),
  question(catalogServiceAtAddress, { address: '10.1.0.1' }),
  question(preparedQueryList, {}),
  question(configEntryList, { kind: 'terminating-gateway' }),
  question(configEntryGet, { kind: 'service-defaults', name: 'web' }),
  question(catalogGatewayServices, { gateway: 'gw' }),
  question(internalGatewayServiceSummary, { gateway: 'gw' }),
  question(floatingList, {}),
  question(floatingPlace, { kind: 'service', id: 's1' }),
  question(floatingPlace, { kind: 'check', id: 'f-s2' }),
  ...['n1', 'n2'].map((node) => question(floatingOnNode, { node })),
];

/** One random command, with the mix and the small world that make things collide. */
function step(harness: Harness): void {
  const { random } = harness.env;
  const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
  harness.env.clock.advance(randomInt(random, 5000));
  const sessions = harness.value(sessionList, {});
  const session = sessions.length === 0 ? '' : pick(sessions).ID;
  const kinds: (() => unknown)[] = [
    () => harness.refusal(catalogRegister, randomRegistration(random)),
    () => harness.refusal(catalogRegister, randomRegistration(random)),
    () =>
      harness.write(
        catalogDeregister,
        deregistration(
          pick(NODES),
          pick([{ ServiceID: pick(['s1', 's2']) }, { CheckID: pick(['c1', 'c2']) }, {}]),
        ),
      ),
    () => harness.refusal(kvApply, randomKvWrite(harness, session)),
    () => harness.refusal(kvApply, randomKvWrite(harness, session)),
    () => harness.refusal(kvApply, randomKvWrite(harness, session)),
    () =>
      harness.refusal(
        sessionCreate,
        sessionArgs(pick(NODES), {
          behavior: pick(['', 'delete']),
          nodeChecks: pick([[], ['c1'], ['c1', 'c2']]),
          lockDelayNs: pick([0, 2e9]),
        }),
      ),
    () => session !== '' && harness.write(sessionDestroy, { id: session }),
    () =>
      harness.apply(reapTombstonesCommand(randomInt(random, harness.index + 1), harness.env.clock.nowMs())),
    () =>
      harness.apply(
        updateCoordinatesCommand([
          {
            node: pick(NODES),
            coordinate: { Vec: Array(8).fill(random.next()), Error: 1, Adjustment: 0, Height: 1e-5 },
          },
        ]),
      ),
    () => harness.write(txnApply, { ops: randomTxn(harness, session) }),
    () => harness.write(txnApply, { ops: randomTxn(harness, session) }),
    () => harness.refusal(preparedQueryApply, randomQueryChange(harness, session)),
    () => harness.refusal(preparedQueryApply, randomQueryChange(harness, session)),
    () => harness.write(configEntryApply, randomConfigChange(random)),
    () => harness.apply(setAutopilotCommand({ ...DEFAULT_AUTOPILOT, MinQuorum: randomInt(random, 5) })),
    () => harness.refusal(floatingRegister, randomFloating(random)),
    () => harness.refusal(floatingRegister, randomFloating(random)),
    () => harness.write(floatingAssign, { moves: randomMoves(harness) }),
    () =>
      harness.refusal(floatingChecks, {
        id: pick(['s1', 's2', 's3']),
        node: pick(NODES),
        set: pick([[], [floatingCheck('extra', 's1', 'critical')]]),
        remove: pick([[], ['f-s1'], ['extra']]),
      }),
    () =>
      harness.write(floatingDeregister, {
        id: pick(['s1', 's2', 's3', 's9']),
        generation: 0,
        release: pick([true, false, false]),
      }),
  ];
  pick(kinds)();
}

function randomRegistration(random: SeededRandom) {
  const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
  const status = pick(['passing', 'critical', 'warning', '']);
  return registration(pick(NODES), {
    ID: pick(['', '', 'aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000002']),
    Address: pick(['10.0.0.1', '10.0.0.2']),
    NodeMeta: pick([null, META, { rack: 'r2' }]),
    SkipNodeUpdate: pick([false, true]),
    Service: pick([
      null,
      service(pick(['s1', 's2', 'S1']), pick(NAMES), {
        Tags: pick([null, ['t1'], ['t1', 'T2', 't1']]),
        Port: randomInt(random, 3),
        Meta: pick([null, { 'bad key': 'x' }, { version: '1' }]),
        Address: pick(['', '10.1.0.1']),
        Connect: pick([{}, { Native: true }]),
      }),
      service('s3', 'proxy', {
        Kind: 'connect-proxy',
        Proxy: { DestinationServiceName: pick(['web', 'db']), MeshGateway: {}, Expose: {} },
      }),
    ]),
    Checks: pick([
      null,
      [
        check(pick(['c1', 'c2']), status, {
          ServiceID: pick(['', 's1', 's2', 's9']),
          Output: pick(['', 'x']),
        }),
      ],
      [check('c1', status), check('c2', 'passing', { ServiceID: 's1' })],
    ]),
  });
}

/** What `step` may place: services that direct registrations use as well, one of them with a sidecar. */
function randomFloating(random: SeededRandom): FloatingRegistration {
  const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
  const id = pick(['s1', 's2', 'S1']);
  const checks = pick([[], [floatingCheck(`f-${id}`, id, pick(['passing', 'critical']))]]);
  const main = floatingPart(service(id, pick(NAMES), { Port: randomInt(random, 3) }), checks);
  const sidecar = { ...floatingPart(service('s3', 'proxy', { Kind: 'connect-proxy' }), []), isSidecar: true };
  return {
    node: registration(pick(NODES), { SkipNodeUpdate: pick([true, false]) }),
    parts: pick([[main], [main], [main, sidecar]]),
    replaceChecks: pick([true, false]),
  };
}

function randomMoves(harness: Harness): FloatingMove[] {
  const { random } = harness.env;
  return harness.value(floatingList, {}).map(({ id, generation }) => ({
    id,
    generation: randomInt(random, 4) === 0 ? generation - 1 : generation,
    node: NODES[randomInt(random, NODES.length)] ?? '',
  }));
}

function randomKvWrite(harness: Harness, session: string) {
  const { random } = harness.env;
  const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
  const verb = pick([
    'set',
    'set',
    'cas',
    'lock',
    'lock',
    'unlock',
    'delete',
    'delete-cas',
    'delete-tree',
  ] as const);
  const key = pick(KEYS);
  const current = harness.value(kvGet, { key })[0]?.ModifyIndex ?? 0;
  return kvWrite(verb, key, pick(['', 'v', 'w', 'x'.repeat(3000)]), {
    flags: pick([0, 42, 2 ** 53 - 1, 18446744073709551615n]),
    index: pick([current, current, 0, 1]),
    session,
  });
}

/** Operations on keys and on the catalog; about every second transaction has one that fails. */
function randomTxn(harness: Harness, session: string): TxnOp[] {
  const { random } = harness.env;
  const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
  const verb = () => pick(['set', 'set', 'set', 'cas', 'delete', 'delete-cas', 'get']);
  return Array.from({ length: 1 + randomInt(random, 4) }, (): TxnOp => {
    const write = randomKvWrite(harness, session);
    const request = randomRegistration(random);
    const [check] = request.Checks ?? [];
    switch (randomInt(random, 6)) {
      case 0:
        return txnNode(verb(), request.Node, { Address: request.Address });
      case 1:
        if (request.Service !== null) return txnService(verb(), request.Node, request.Service);
        return txnKv('get', write.key);
      case 2:
        if (check !== undefined) return txnCheck(verb(), { ...check, Node: request.Node });
        return txnKv('check-not-exists', write.key);
      default:
        return { ...txnKv(write.verb, write.key), ...write, index: String(write.index) };
    }
  });
}

function randomQueryChange(harness: Harness, session: string): QueryApplyArgs {
  const { random } = harness.env;
  const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
  const known = harness.value(preparedQueryList, {});
  const id = known.length === 0 ? '' : pick(known).ID;
  if (id !== '' && randomInt(random, 4) === 0) return { op: 'delete', id };
  const query = preparedQuery(pick(['q1', 'Q1', 'q2', 'geo-', '']), {
    Session: pick(['', session]),
    Template: pick([NO_TEMPLATE, { Type: 'name_prefix_match', Regexp: '(.*)', RemoveEmptyTags: false }]),
  });
  return id !== '' && randomInt(random, 2) === 0
    ? { op: 'update', query: { ...query, ID: id } }
    : { op: 'create', query };
}

function randomConfigChange(random: SeededRandom): ConfigEntryApplyArgs {
  const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
  const [kind, name] = pick([
    ['terminating-gateway', 'gw'],
    ['terminating-gateway', 'GW'],
    ['service-defaults', 'web'],
  ] as const);
  const entry = {
    Kind: kind,
    Name: name,
    Services: pick([null, [{ Name: 'web', SNI: 'x' }], [{ Name: '*' }]]),
  };
  return pick([
    { op: 'upsert', entry },
    { op: 'cas', entry, index: 0 },
    { op: 'delete', kind, name },
  ] as const);
}

const answersOf = (harness: Harness) =>
  QUESTIONS.map(({ name, ask }) => {
    const { value, index } = ask(harness);
    return { name, index, value: textOf(value) };
  });

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${item}n` : item));
}

describe('random histories', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'never miss a change, wake for it, and raise the index: seed %i',
    async (seed) => {
      const harness = new Harness(seed);
      for (let i = 0; i < 400; i++) {
        const before = answersOf(harness);
        const woken = new Set<string>();
        const stops = QUESTIONS.map(({ name, ask }) =>
          harness.store.watch(ask(harness).topics, () => woken.add(name)),
        );
        step(harness);
        for (const [at, after] of answersOf(harness).entries()) {
          const was = before[at];
          const where = `${after.name} at ${harness.index}`;
          expect(after.index, where).toBeGreaterThanOrEqual(was?.index ?? 0);
          if (after.value === was?.value) continue;
          expect(woken.has(after.name), `woken: ${where}`).toBe(true);
          expect(after.index, where).toBeGreaterThan(was?.index ?? 0);
        }
        for (const stop of stops) stop();
        if (i % 20 === 0) {
          // Another server, which has kept no answers, gives the same ones.
          const other = new Harness(seed);
          await other.machine.restore(streamOf(await harness.snapshot()));
          expect(answersOf(other)).toEqual(answersOf(harness));
        }
      }
    },
  );

  it.each([11, 12, 13, 14])(
    'a restored snapshot has the same answers and goes on the same: seed %i',
    async (seed) => {
      const harness = new Harness(seed);
      for (let i = 0; i < 500; i++) step(harness);
      const snapshot = await harness.snapshot();
      const restored = new Harness(seed + 100);
      await restored.machine.restore(streamOf(snapshot));
      expect(answersOf(restored)).toEqual(answersOf(harness));
      expect(await restored.snapshot()).toEqual(snapshot);

      const from = harness.index;
      for (let i = 0; i < 200; i++) step(harness);
      for (const [at, bytes] of harness.log.slice(from - BEFORE_FIRST).entries()) {
        restored.machine.apply(bytes, (from + at + 1) as LogIndex, 1 as Term);
      }
      restored.machine.applied(harness.index as LogIndex);
      expect(answersOf(restored)).toEqual(answersOf(harness));
      expect(await restored.snapshot()).toEqual(await harness.snapshot());
    },
  );

  it.each([21, 22])(
    'two machines fed the same log return the same and are equal to the byte: seed %i',
    async (seed) => {
      const harness = new Harness(seed);
      for (let i = 0; i < 300; i++) step(harness);
      const results = [0, 1].map(() => {
        const store = createStore();
        const machine = createStateMachine(store);
        const applied = harness.log.map((bytes, at) =>
          machine.apply(bytes, (BEFORE_FIRST + at + 1) as LogIndex, 1 as Term),
        );
        return { machine, applied };
      });
      expect(results[0]?.applied).toEqual(results[1]?.applied);
      const bytes: Buffer[] = [];
      for (const { machine } of results) {
        const chunks: Uint8Array[] = [];
        for await (const chunk of machine.snapshot().chunks()) chunks.push(Buffer.from(chunk));
        bytes.push(Buffer.concat(chunks));
      }
      expect(bytes[0]).toEqual(bytes[1]);
      expect(bytes[0]).toEqual(await harness.snapshot());
    },
  );
});

describe('snapshots', () => {
  it('show the state of when they were taken while later commands are applied', async () => {
    const harness = new Harness(3);
    for (let i = 0; i < 100; i++) step(harness);
    const expected = await harness.snapshot();
    const view = harness.machine.snapshot();
    for (let i = 0; i < 200; i++) step(harness);
    const chunks: Uint8Array[] = [];
    for await (const chunk of view.chunks()) {
      step(harness);
      chunks.push(Buffer.from(chunk));
    }
    view.release();
    expect(Buffer.concat(chunks)).toEqual(expected);
    expect(await harness.snapshot()).not.toEqual(expected);
  });

  it('come in pieces of at most 1 MiB, values larger than that included', async () => {
    const harness = new Harness();
    harness.write(kvApply, kvWrite('set', 'big', 'x'.repeat(3 << 20)));
    const sizes: number[] = [];
    for await (const chunk of harness.machine.snapshot().chunks()) sizes.push(chunk.length);
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1 << 20);
    const restored = new Harness();
    await restored.machine.restore(streamOf(await harness.snapshot()));
    expect(restored.value(kvGet, { key: 'big' })).toEqual(harness.value(kvGet, { key: 'big' }));
  });

  it('replace everything and wake everyone', async () => {
    const harness = new Harness();
    harness.write(kvApply, kvWrite('set', 'old', 'x'));
    const old = harness.read(kvGet, { key: 'old' });
    let wakes = 0;
    harness.store.watch(old.topics, () => wakes++);
    await harness.machine.restore(streamOf(await new Harness().snapshot()));
    expect(wakes).toBe(1);
    expect(harness.value(kvGet, { key: 'old' })).toEqual([]);
  });

  const packr = new Packr({ useRecords: false });
  const frame = (value: unknown) => {
    const body = packr.pack(value);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(body.length);
    return Buffer.concat([header, body]);
  };
  it.each([
    ['nothing', Buffer.alloc(0), 'ends before its end'],
    ['something else', frame({ format: 'tar' }), 'not one of this program'],
    [
      'a newer version',
      frame({ format: 'proconsul-state', version: 99 }),
      'has version 99, this server knows 1',
    ],
    [
      'an unknown table',
      Buffer.concat([frame({ format: 'proconsul-state', version: 1 }), frame('wonders')]),
      'has a table "wonders" that this server doesn\'t know',
    ],
    ['half a frame', Buffer.from([0, 0, 0]), 'ends within a frame'],
  ])('refuse %s and leave the state as it was', async (_, bytes, problem) => {
    const harness = new Harness();
    harness.write(kvApply, kvWrite('set', 'k', 'v'));
    const before = await harness.snapshot();
    await expect(harness.machine.restore(streamOf(bytes))).rejects.toThrow(problem);
    expect(await harness.snapshot()).toEqual(before);
  });

  it('refuse one that is cut off, wherever', async () => {
    const harness = new Harness(5);
    for (let i = 0; i < 60; i++) step(harness);
    const bytes = await harness.snapshot();
    const empty = new Harness();
    for (let length = 0; length < bytes.length; length += Math.ceil(bytes.length / 97)) {
      await expect(empty.machine.restore(streamOf(bytes.subarray(0, length)))).rejects.toThrow();
    }
    expect(empty.value(kvList, { prefix: '' })).toEqual([]);
  });
});

describe('commands that this server does not know', () => {
  const machine = createStateMachine(createStore());
  const apply = (bytes: Uint8Array) => machine.apply(bytes, 1 as LogIndex, 1 as Term);

  it.each(['wonder', '__proto__', 'constructor'])('stop it: type %s', (type) => {
    expect(() => apply(encodeCommand({ type }))).toThrow(
      `log command of unknown type "${type}" at index 1: this server needs a newer release`,
    );
  });

  it('stop it: a newer version', () => {
    const bytes = encodeCommand({ type: 'kv' });
    bytes[0] = 9;
    expect(() => apply(bytes)).toThrow('log command has version 9, this server knows 1');
  });
});

it('keeps 64-bit flags exact through log, state and snapshot', async () => {
  const harness = new Harness();
  harness.write(kvApply, kvWrite('set', 'k', '', { flags: 18446744073709551615n }));
  harness.write(kvApply, kvWrite('set', 'l', '', { flags: 9007199254740991 }));
  const restored = new Harness();
  await restored.machine.restore(streamOf(await harness.snapshot()));
  for (const { store } of [harness, restored]) {
    expect(store.tables.kv.get('k')?.flags).toBe(18446744073709551615n);
    expect(store.tables.kv.get('l')?.flags).toBe(9007199254740991);
  }
  expect(restored.value(sessionGet, { id: 'x'.repeat(36) })).toEqual([]);
});
