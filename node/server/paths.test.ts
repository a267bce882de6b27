import { beforeEach, describe, expect, test } from 'vitest';
import { ConsulError, refused } from '../../shared/errors.ts';
import { FORGOTTEN_REQUEST_ID } from '../../shared/request-id.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import type { NodeId, Term } from '../raft/types.ts';
import { ConnectionPool } from '../rpc/connection-pool.ts';
import { createStore, type Store } from '../state/store.ts';
import { rememberWrite } from '../state/write-sessions.ts';
import { Datacenters } from './datacenters.ts';
import type { AnyReadHandler, AnyWriteHandler } from './handlers.ts';
import { Leadership } from './leadership.ts';
import { QueryEngine } from './query-engine.ts';
import { type ReadCall, ReadPath } from './read-path.ts';
import { FakeLan } from './testing/fake-gossip.ts';
import { FakeRaft } from './testing/fake-raft.ts';
import { WritePath } from './write-path.ts';

const WRITE: AnyWriteHandler = {
  endpoint: { kind: 'write', name: 'Test.Write' },
  command: () => ({ type: 'test' }),
  result: (applied) => {
    if (applied !== true) throw refused('no');
    return 'done';
  },
};
const READ: AnyReadHandler = {
  endpoint: { kind: 'read', name: 'Test.Read' },
  query: () => ({ value: ['v'], index: 7, topics: ['t'] }),
};
const WRITE_CALL = { name: 'Test.Write', args: {}, datacenter: '', token: '', isForwarded: false };
const READ_CALL: ReadCall = {
  kind: 'read',
  name: 'Test.Read',
  args: {},
  datacenter: '',
  token: '',
  consistency: 'default',
  maxStaleMs: undefined,
  minIndex: 0,
  waitMs: 0,
  pretty: false,
  isForwarded: false,
  signal: undefined,
};

let env: SimulatedEnv;
let raft: FakeRaft;
let leadership: Leadership;
let writes: WritePath;
let reads: ReadPath;
let applied: string[];
let store: Store;

const SESSION = '0123456789abcdef';

beforeEach(() => {
  env = simulatedEnv(1);
  raft = new FakeRaft();
  leadership = new Leadership(raft, env);
  applied = [];
  const datacenters = new Datacenters('dc1', new FakeLan().pool('n1'), undefined, env);
  store = createStore();
  const context = { env, datacenter: 'dc1', nodeName: 'n1', sessionTtlMinMs: 0 };
  const shared = {
    datacenter: 'dc1',
    raft,
    leadership,
    datacenters,
    env,
    holdMs: 7000,
    pool: new ConnectionPool(env),
  };
  const engine = new QueryEngine<AnyReadHandler>(
    { watch: () => () => {} },
    (handler, args) => handler.query(store, args as never, context),
    env,
  );
  writes = new WritePath({
    ...shared,
    store,
    context,
    handlers: new Map([['Test.Write', WRITE]]),
    operations: new Map(),
    encode: (command) => Buffer.from(command.type),
    onApplied: (name) => void applied.push(name),
  });
  reads = new ReadPath({ ...shared, engine, handlers: new Map([['Test.Read', READ]]), liveReads: new Map() });
});

/** A follower knows a leader only when `leaderAddress` is given. */
function become(role: 'leader' | 'follower', leaderAddress = role === 'leader' ? '127.0.0.1:1' : ''): void {
  const leader = leaderAddress === '' ? undefined : { id: 'n1' as NodeId, address: leaderAddress };
  leadership.update({ kind: 'leadership', role, term: 1 as Term, leader });
}

const notLeader = () => new ConsulError('not-leader', 500, 'node is not the leader');
const lost = () => new ConsulError('outcome-unknown', 500, 'leadership lost while committing log');

describe('writes', () => {
  test('what was not appended is proposed again', async () => {
    become('leader');
    leadership.markReady();
    raft.failures.push(notLeader(), notLeader());
    const write = writes.apply(WRITE_CALL);
    await env.clock.advanceAsync(2000);
    expect(await write).toBe('done');
    expect(raft.calls).toEqual(['propose test', 'propose test', 'propose test']);
    expect(applied).toEqual(['Test.Write']);
  });

  test('what may have been applied is not', async () => {
    become('leader');
    leadership.markReady();
    raft.failures.push(lost());
    await expect(writes.apply(WRITE_CALL)).rejects.toMatchObject({
      message: 'leadership lost while committing log',
      applied: 'unknown',
    });
    expect(raft.calls).toHaveLength(1);
    expect(applied).toEqual([]);
  });

  test('what may have been applied is proposed again under its request ID', async () => {
    become('leader');
    leadership.markReady();
    store.tables.writeSessions.set(SESSION, {
      id: SESSION,
      floor: 2,
      count: 0,
      bytes: 0,
      index: 1,
      usedMs: 0,
    });
    raft.failures.push(lost(), lost());
    const write = writes.apply({ ...WRITE_CALL, requestId: `${SESSION}.2.2` });
    await env.clock.advanceAsync(2000);
    expect(await write).toBe('done');
    expect(raft.calls).toHaveLength(3);
    const settled = writes.apply({ ...WRITE_CALL, requestId: `${SESSION}.1.1` });
    await expect(settled).rejects.toMatchObject({ status: 409, message: FORGOTTEN_REQUEST_ID });
    const bad = writes.apply({ ...WRITE_CALL, requestId: 'x' });
    await expect(bad).rejects.toMatchObject({ status: 400 });
    rememberWrite(store.tables, { session: SESSION, sequence: 3, settledBelow: 2 }, true, 9, 0);
    expect(await writes.apply({ ...WRITE_CALL, requestId: `${SESSION}.3.2` })).toBe('done');
    expect(raft.calls).toHaveLength(3);
  });

  test('without a leader the caller hears so after the hold time, not before', async () => {
    let failure: unknown;
    const write = writes.apply(WRITE_CALL).catch((error: unknown) => {
      failure = error;
    });
    await env.clock.advanceAsync(6900);
    expect(failure).toBeUndefined();
    await env.clock.advanceAsync(600);
    await write;
    expect(failure).toMatchObject({ message: 'No cluster leader', code: 'no-leader' });
  });

  test('a new leader waits until it is ready, and for a limited time', async () => {
    become('leader');
    const early = writes.apply(WRITE_CALL);
    await env.clock.advanceAsync(1000);
    expect(raft.calls).toEqual([]);
    leadership.markReady();
    expect(await early).toBe('done');
    become('follower');
    become('leader');
    const failure = writes.apply(WRITE_CALL).catch((error: unknown) => error);
    await env.clock.advanceAsync(15_000);
    expect(await failure).toMatchObject({ code: 'no-leader' });
  });

  test('a forwarded write is not forwarded again', async () => {
    await expect(writes.apply({ ...WRITE_CALL, isForwarded: true })).rejects.toMatchObject({
      code: 'not-leader',
    });
  });

  test('unknown names are refused', async () => {
    await expect(writes.apply({ ...WRITE_CALL, name: 'No.Such' })).rejects.toThrow(
      "rpc: can't find method No.Such",
    );
    await expect(reads.answer({ ...READ_CALL, name: 'No.Such' })).rejects.toThrow(
      "rpc: can't find method No.Such",
    );
  });
});

describe('reads', () => {
  const options = { datacenter: '', token: '', consistency: 'default' } as const;

  test('under the lease need no round and wait for nothing', () => {
    become('leader');
    expect(reads.fast('Test.Read', {}, options)).toBeUndefined();
    leadership.markReady();
    expect(reads.fast('Test.Read', {}, { ...options, datacenter: 'dc1' })?.index).toBe(7);
    expect(reads.fast('Test.Read', {}, { ...options, consistency: 'consistent' })).toBeUndefined();
    expect(reads.fast('Test.Read', {}, { ...options, minIndex: 1 })).toBeUndefined();
    expect(reads.fast('Test.Read', {}, { ...options, datacenter: 'dc2' })).toBeUndefined();
    expect(raft.calls).toEqual([]);
  });

  test('consistent ones, and those without the lease, take a quorum round first', async () => {
    become('leader');
    leadership.markReady();
    await reads.answer({ ...READ_CALL, consistency: 'consistent' });
    raft.lease = false;
    await reads.answer(READ_CALL);
    expect(raft.calls).toEqual(['barrier', 'barrier']);
  });

  test('consistent ones at a follower are answered there once the leader has confirmed them', async () => {
    become('follower', 'h1:8300');
    raft.failures.push(notLeader());
    const read = reads.answer({ ...READ_CALL, consistency: 'consistent' });
    await env.clock.advanceAsync(2000);
    expect((await read).reply.meta).toEqual({ index: 7, knownLeader: true, lastContactMs: 0 });
    expect(raft.calls).toEqual(['barrier', 'barrier']);
  });

  test('any failure of leadership is tried again', async () => {
    become('leader');
    raft.failures.push(notLeader(), lost());
    const read = reads.answer(READ_CALL);
    await env.clock.advanceAsync(2000);
    expect(await read).toMatchObject({
      kind: 'read',
      reply: { value: ['v'], meta: { index: 7, lastContactMs: 0 } },
    });
  });

  test('stale ones need a leader once, and only then', async () => {
    become('follower');
    expect(reads.local('Test.Read', {})).toBeUndefined();
    raft.lastContactMs = 30_000.7;
    env.clock.advance(11);
    const { reply } = await reads.answer({ ...READ_CALL, consistency: 'stale' });
    expect(reply.meta).toEqual({ index: 7, knownLeader: false, lastContactMs: 30_000 });
    expect(reads.local('Test.Read', {})?.meta.lastContactMs).toBe(30_000);
  });

  test('stale ones beyond their bound go to the leader', async () => {
    become('follower');
    raft.lastContactMs = 30_000;
    const read = reads
      .answer({ ...READ_CALL, consistency: 'stale', maxStaleMs: 1000 })
      .catch((error: Error) => error);
    await env.clock.advanceAsync(8000);
    expect(await read).toMatchObject({ message: 'No cluster leader' });
  });

  test('an abort ends the hold', async () => {
    const controller = new AbortController();
    const read = reads.answer({ ...READ_CALL, signal: controller.signal });
    controller.abort(new Error('left'));
    await expect(read).rejects.toThrow('left');
  });

  test('a blocking one on a leader that is deposed goes on elsewhere with the rest of its time', async () => {
    become('leader');
    leadership.markReady();
    const read = reads.answer({ ...READ_CALL, minIndex: 7, waitMs: 60_000 }).catch((error: Error) => error);
    await env.clock.advanceAsync(1000);
    become('follower');
    become('leader');
    leadership.markReady();
    await env.clock.advanceAsync(70_000);
    expect(await read).toMatchObject({ kind: 'read', reply: { meta: { index: 7 } } });
  });
});
