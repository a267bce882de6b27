/** Writes that are sent again: applied once, answered the same, within bounds, and the same on every server. */

import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { randomInt } from '../../shared/env.ts';
import { ConsulError } from '../../shared/errors.ts';
import {
  FORGOTTEN_REQUEST_ID,
  RESULT_NOT_KEPT,
  type RequestId,
  UNKNOWN_WRITE_SESSION,
} from '../../shared/request-id.ts';
import type { LogIndex, Term } from '../raft/types.ts';
import { kvApply, kvGet } from '../rpc/endpoints.ts';
import { writeSessionOpen } from '../rpc/write-session-endpoints.ts';
import { createStore } from '../state/store.ts';
import {
  IDLE_MS,
  MAX_REMEMBERED_WRITES,
  MAX_RESULT_BYTES,
  MAX_SESSION_BYTES,
  MAX_WRITE_SESSIONS,
} from '../state/write-sessions.ts';
import { encodeCommand, openWriteSessionCommand } from './commands.ts';
import { Harness, streamOf } from './endpoints/harness.ts';
import { kvWrite, txnKv } from './endpoints/samples.ts';
import { createStateMachine } from './fsm.ts';
import type { Command } from './handlers.ts';
import { checkApplied, onceCommand, recalled, requestIdOf } from './once.ts';
import { beginRestoreCommand, finishRestoreCommand, restorePieceCommand } from './restore-commands.ts';

const NOW = 1_600_000_000_000;

const set = (key: string, value = 'v'): Command => ({
  type: 'kv',
  verb: 'set',
  key,
  value: new TextEncoder().encode(value),
  flags: 0,
});
const cas = (key: string, index: number): Command => ({ ...set(key), verb: 'cas', index });

function open(harness: Harness): string {
  return harness.write(writeSessionOpen, {});
}

/** Logs a command under an ID, as a leader does. @throws ConsulError */
function once(harness: Harness, id: RequestId, command: Command, nowMs = NOW): unknown {
  return checkApplied(harness.apply(onceCommand(command, id, nowMs)));
}

function refusalOf(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof ConsulError) return `${thrown.status} ${thrown.message} ${thrown.applied}`;
    throw thrown;
  }
  return 'done';
}

const modifyIndex = (harness: Harness, key: string) => harness.value(kvGet, { key })[0]?.ModifyIndex;

describe('a write with a request ID', () => {
  test('is applied once and answered twice', () => {
    const harness = new Harness(1);
    const session = open(harness);
    const first = { session, sequence: 1, settledBelow: 1 };
    expect(once(harness, first, cas('counter', 0))).toBe(true);
    const index = modifyIndex(harness, 'counter');
    // Applied again, the check would fail.
    expect(once(harness, first, cas('counter', 0))).toBe(true);
    expect(modifyIndex(harness, 'counter')).toBe(index);
    expect(recalled(harness.store, first)).toEqual({ applied: true });
    // What was refused stays refused, whatever has changed since.
    const second = { ...first, sequence: 2 };
    expect(once(harness, second, cas('counter', 7))).toBe(false);
    harness.write(kvApply, kvWrite('delete', 'counter'));
    expect(once(harness, second, cas('counter', 0))).toBe(false);
  });

  test('gets results of every kind again, also after a snapshot', async () => {
    const harness = new Harness(1);
    const session = open(harness);
    const commands: Command[] = [
      { type: 'txn', ops: [txnKv('set', 'a'), txnKv('get', 'a')], nowMs: NOW },
      { type: 'txn', ops: [txnKv('check-not-exists', 'a')], nowMs: NOW },
      { type: 'session-create', session: { ID: 's', Node: 'none' }, nowMs: NOW },
      set('b'),
    ];
    const ids = commands.map((_, i) => ({ session, sequence: i + 1, settledBelow: 1 }));
    const firsts = commands.map((command, i) => harness.apply(onceCommand(command, ids[i] ?? fail(), NOW)));
    expect(firsts[2]).toEqual({ refused: 'Missing node registration' });
    const copy = createStore();
    await copy.restore(streamOf(await harness.snapshot(), 100));
    for (const store of [harness.store, copy])
      expect(ids.map((id) => recalled(store, id))).toEqual(firsts.map((applied) => ({ applied })));
  });

  test('is refused when it was settled, when its session is unknown, when its result was too long', () => {
    const harness = new Harness(1);
    const session = open(harness);
    once(harness, { session, sequence: 5, settledBelow: 4 }, set('a'));
    const settled = { session, sequence: 3, settledBelow: 1 };
    expect(refusalOf(() => once(harness, settled, set('late')))).toBe(`409 ${FORGOTTEN_REQUEST_ID} no`);
    expect(refusalOf(() => recalled(harness.store, settled))).toBe(`409 ${FORGOTTEN_REQUEST_ID} no`);
    expect(modifyIndex(harness, 'late')).toBeUndefined();
    const stranger = { session: '0'.repeat(16), sequence: 1, settledBelow: 1 };
    expect(refusalOf(() => once(harness, stranger, set('late')))).toBe(`409 ${UNKNOWN_WRITE_SESSION} no`);
    expect(modifyIndex(harness, 'late')).toBeUndefined();
    const id = { session, sequence: 6, settledBelow: 4 };
    harness.apply(set('big', 'x'.repeat(MAX_RESULT_BYTES + 1)));
    once(harness, id, { type: 'txn', ops: [txnKv('set', 'c'), txnKv('get', 'big')], nowMs: NOW });
    expect(refusalOf(() => recalled(harness.store, id))).toBe(`409 ${RESULT_NOT_KEPT} no`);
  });

  test.each([
    '',
    'x',
    '0123456789abcdef',
    '0123456789abcdef.0.1',
    '0123456789abcdef.1.2',
    '0123456789ABCDEF.1.1',
    `0123456789abcdef.${'9'.repeat(16)}.1`,
  ])('can’t have the ID %j', (text) => {
    expect(refusalOf(() => requestIdOf(text))).toMatch(/^400 x-proconsul-request-id must be/);
  });
});

describe('what is remembered', () => {
  test('shrinks as the session settles', () => {
    const harness = new Harness(1);
    const session = open(harness);
    for (let sequence = 1; sequence <= 10_000; sequence++)
      once(harness, { session, sequence, settledBelow: Math.max(1, sequence - 3) }, set(`k${sequence % 5}`));
    expect(harness.store.tables.rememberedWrites.size).toBe(4);
    expect(harness.store.tables.writeSessions.get(session)).toMatchObject({
      count: 4,
      bytes: 4,
      floor: 9997,
    });
  });

  test('is bounded by number and bytes, and what was forgotten is never applied', () => {
    const harness = new Harness(1);
    const session = open(harness);
    for (let sequence = 1; sequence <= MAX_REMEMBERED_WRITES + 10; sequence++)
      once(harness, { session, sequence, settledBelow: 1 }, set('k'));
    expect(harness.store.tables.rememberedWrites.size).toBe(MAX_REMEMBERED_WRITES);
    expect(refusalOf(() => once(harness, { session, sequence: 10, settledBelow: 1 }, set('k')))).toContain(
      '409',
    );
    const other = open(harness);
    harness.apply(set('big', 'x'.repeat(MAX_RESULT_BYTES / 2)));
    for (let sequence = 1; sequence <= 20; sequence++)
      once(
        harness,
        { session: other, sequence, settledBelow: 1 },
        { type: 'txn', ops: [txnKv('get', 'big')], nowMs: NOW },
      );
    const { bytes, count } = harness.store.tables.writeSessions.get(other) ?? fail();
    expect(bytes).toBeLessThanOrEqual(MAX_SESSION_BYTES);
    expect(count).toBeGreaterThan(1);
    expect(count).toBeLessThan(20);
  });

  test('goes with sessions that are idle, or too many', () => {
    const harness = new Harness(1);
    const ids = Array.from({ length: MAX_WRITE_SESSIONS + 1 }, (_, i) => i.toString(16).padStart(16, '0'));
    for (const id of ids.slice(0, -1)) harness.apply(openWriteSessionCommand(id, NOW));
    const [first = '', second = ''] = ids;
    once(harness, { session: first, sequence: 1, settledBelow: 1 }, set('k'));
    harness.apply(openWriteSessionCommand(ids.at(-1) ?? '', NOW));
    const { writeSessions, rememberedWrites } = harness.store.tables;
    expect(writeSessions.size).toBe(MAX_WRITE_SESSIONS);
    expect(writeSessions.get(first)).toBeDefined();
    expect(writeSessions.get(second)).toBeUndefined();
    harness.apply(openWriteSessionCommand('f'.repeat(16), NOW + IDLE_MS + 1));
    expect([...writeSessions.entries()].map(([id]) => id)).toEqual(['f'.repeat(16)]);
    expect(rememberedWrites.size).toBe(0);
  });

  test('survives a snapshot that a user restores: it belongs to the cluster', async () => {
    const harness = new Harness(1);
    const old = open(harness);
    const archive = await harness.snapshot();
    const session = open(harness);
    const id = { session, sequence: 1, settledBelow: 1 };
    once(harness, id, set('wiped'));
    harness.apply(beginRestoreCommand('r'));
    harness.apply(restorePieceCommand('r', 0, deflateRawSync(archive)));
    harness.apply(finishRestoreCommand('r', 1, 1));
    expect(modifyIndex(harness, 'wiped')).toBeUndefined();
    expect(recalled(harness.store, id)).toEqual({ applied: true });
    expect(recalled(harness.store, { ...id, session: old })).toBeUndefined();
  });
});

interface Sent {
  readonly id: RequestId;
  readonly key: string;
  result: unknown;
}

/**
 * Gateways that number their writes and a network that delays, repeats and reorders them. Every write adds one to a
 * counter that nothing but its log entries knows, so that a second effect would show.
 */
test.each([1, 2, 3, 4, 5, 6])(
  'seed %i: whatever the network does, each write has one effect and one result',
  async (seed) => {
    const harness = new Harness(seed);
    const { random } = harness.env;
    const pick = <T>(list: readonly T[]): T => list[randomInt(random, list.length)] ?? fail();
    const gateways = Array.from({ length: 3 }, () => ({
      session: open(harness),
      next: 1,
      open: new Set<Sent>(),
    }));
    const network: Sent[] = [];
    const effects = new Map<string, number>();
    for (let step = 0; step < 3000; step++) {
      const gateway = pick(gateways);
      const choice = randomInt(random, 10);
      if (choice < 3 && gateway.open.size < 20) {
        const sequence = gateway.next++;
        const settledBelow = Math.min(sequence, ...[...gateway.open].map(({ id }) => id.sequence));
        const sent = {
          id: { session: gateway.session, sequence, settledBelow },
          key: `${gateway.session}-${sequence}`,
          result: undefined,
        };
        gateway.open.add(sent);
        network.push(sent);
      } else if (choice < 4 && gateway.open.size > 0) {
        network.push(pick([...gateway.open]));
      } else if (network.length > 0) {
        const sent = pick(network);
        // Some stay in the network after they have arrived: they will arrive again.
        if (randomInt(random, 3) > 0) network.splice(network.indexOf(sent), 1);
        const isOpen = gateways.some((one) => one.open.has(sent));
        const before = modifyIndex(harness, sent.key);
        const outcome = refusalOf(() => {
          const result = once(harness, sent.id, cas(sent.key, effects.get(sent.key) ?? 0));
          if (sent.result !== undefined) expect(result).toBe(sent.result);
          sent.result = result;
        });
        const after = modifyIndex(harness, sent.key);
        if (after !== before) {
          expect(effects.has(sent.key)).toBe(false);
          effects.set(sent.key, after ?? fail());
        }
        // As long as the gateway may ask, the answer is known.
        if (isOpen) expect(outcome).toBe('done');
        if (isOpen && randomInt(random, 2) === 0) for (const one of gateways) one.open.delete(sent);
      }
    }
    expect(effects.size).toBeGreaterThan(200);
    const replica = createStore();
    const machine = createStateMachine(replica);
    const first = harness.index - harness.log.length + 1;
    for (const [i, bytes] of harness.log.entries()) machine.apply(bytes, (first + i) as LogIndex, 1 as Term);
    const copy = createStore();
    await copy.restore(streamOf(await harness.snapshot()));
    for (const store of [replica, copy])
      for (const table of ['writeSessions', 'rememberedWrites', 'kv'] as const)
        expect([...store.tables[table].entries()]).toEqual([...harness.store.tables[table].entries()]);
  },
);

test('an ID makes a log entry longer by less than forty bytes', () => {
  const id = { session: 'a'.repeat(16), sequence: 1, settledBelow: 1 };
  const longer = encodeCommand(onceCommand(set('k'), id, NOW)).length - encodeCommand(set('k')).length;
  expect(longer).toBeLessThan(40);
});

function fail(): never {
  throw new Error('not expected to be missing');
}
