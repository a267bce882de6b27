/** The serf layer on its own: intents, events, queries, merging. */

import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../shared/simulated-env.ts';
import { Keyring } from '../codec/keyring.ts';
import { OWN_VERSIONS } from '../codec/message-type.ts';
import { decodeKeyResponse, encodeKeyRequest, encodeQueryFilter } from '../codec/query-payloads.ts';
import {
  decodeSerfMessage,
  encodeSerfMessage,
  type Query,
  type QueryResponse,
  type SerfMessage,
} from '../codec/serf-messages.ts';
import { decodeSerfState, encodeSerfState, type SerfState } from '../codec/serf-state.ts';
import { encodeTags } from '../codec/tags.ts';
import type { NodeSnapshot } from '../swim/context.ts';
import { LAN_TIMERS } from '../timers.ts';
import type { SerfEffect, SerfInput } from './context.ts';
import { Serf } from './serf.ts';

const NO_BYTES = new Uint8Array(0);
const ascii = (text: string) => new Uint8Array(Buffer.from(text));

function nodeOf(name: string, last = 2): NodeSnapshot {
  return {
    name,
    address: Uint8Array.of(10, 0, 0, last),
    host: `10.0.0.${last}`,
    port: 8301,
    meta: encodeTags({ role: 'node', dc: 'dc1' }),
    versions: OWN_VERSIONS,
    state: 'alive',
    incarnation: 1,
  };
}

class Bench {
  readonly serf: Serf;
  nowMs = 0;

  constructor(clocks = { member: 0n, event: 0n, query: 0n }, keyring = new Keyring([])) {
    const config = { nodeName: 'me', address: Uint8Array.of(10, 0, 0, 1), port: 8301, timers: LAN_TIMERS };
    this.serf = new Serf({ ...config, keyring, clocks }, new SeededRandom(3));
    this.step({ kind: 'start' });
    this.step({ kind: 'joined', node: nodeOf('me', 1) });
    this.step({ kind: 'joined', node: nodeOf('n2') });
    this.spread();
  }

  step(input: SerfInput): SerfEffect[] {
    return this.serf.step(input, this.nowMs);
  }

  hear(message: SerfMessage): SerfEffect[] {
    return this.step({ kind: 'user-message', bytes: encodeSerfMessage(message) });
  }

  /** What would be gossiped next; each is taken once only because the limit is huge and the test looks at types. */
  spread(): (string | undefined)[] {
    return this.serf.takeBroadcasts(3, 100_000).map((bytes) => decodeSerfMessage(bytes)?.type);
  }

  status(name: string): string | undefined {
    return this.serf.member(name)?.status;
  }
}

const leave = (node: string, lTime: bigint, prune = false): SerfMessage => ({
  type: 'leave',
  lTime,
  node,
  prune,
});
const join = (node: string, lTime: bigint): SerfMessage => ({ type: 'join', lTime, node });
const eventsOf = (effects: SerfEffect[]) =>
  effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event.kind] : []));

describe('intents', () => {
  it('leave then gone is left; gone without it is failed', () => {
    const bench = new Bench();
    bench.hear(leave('n2', 5n));
    expect(bench.status('n2')).toBe('leaving');
    expect(bench.spread()).toContain('leave');
    expect(eventsOf(bench.step({ kind: 'gone', node: nodeOf('n2') }))).toEqual(['member-leave']);
    expect(bench.status('n2')).toBe('left');
    bench.step({ kind: 'joined', node: nodeOf('n3', 3) });
    expect(eventsOf(bench.step({ kind: 'gone', node: nodeOf('n3', 3) }))).toEqual(['member-failed']);
    expect(bench.status('n3')).toBe('failed');
  });

  it('older intents are dropped and not passed on', () => {
    const bench = new Bench();
    bench.hear(leave('n2', 5n));
    bench.hear(join('n2', 5n));
    expect(bench.status('n2')).toBe('leaving');
    bench.hear(join('n2', 6n));
    expect(bench.status('n2')).toBe('alive');
    bench.hear(leave('n2', 6n));
    expect(bench.status('n2')).toBe('alive');
    expect(bench.spread()).toEqual(['leave', 'join']);
    expect(bench.serf.memberClock).toBe(7n);
  });

  it('a leave intent that comes before its member is remembered, for five minutes', () => {
    const bench = new Bench();
    bench.hear(leave('late', 9n));
    bench.step({ kind: 'joined', node: nodeOf('late', 4) });
    expect(bench.status('late')).toBe('leaving');
    bench.hear(leave('later', 10n));
    bench.nowMs += 6 * 60_000;
    bench.step({ kind: 'tick' });
    bench.step({ kind: 'joined', node: nodeOf('later', 5) });
    expect(bench.status('later')).toBe('alive');
  });

  it('a failed member that is said to leave has left', () => {
    const bench = new Bench();
    bench.step({ kind: 'gone', node: nodeOf('n2') });
    const effects = bench.hear(leave('n2', 5n));
    expect(bench.status('n2')).toBe('left');
    expect(effects).toContainEqual({
      kind: 'log',
      level: 'INFO',
      message: 'EventMemberLeave (forced): n2 10.0.0.2',
    });
  });

  it('a rumour that we leave is refuted by a newer join', () => {
    const bench = new Bench();
    bench.hear(leave('me', 5n));
    expect(bench.status('me')).toBe('alive');
    expect(bench.spread()).toEqual(['join']);
  });

  it('prune erases a failed member at once and a leaving one when it has had its time', () => {
    const bench = new Bench();
    bench.step({ kind: 'joined', node: nodeOf('n3', 3) });
    bench.step({ kind: 'gone', node: nodeOf('n2') });
    expect(eventsOf(bench.hear(leave('n2', 5n, true)))).toEqual(['member-leave', 'member-reap']);
    expect(bench.status('n2')).toBeUndefined();
    bench.hear(leave('n3', 6n, true));
    expect(bench.status('n3')).toBe('leaving');
    bench.step({ kind: 'gone', node: nodeOf('n3', 3) });
    bench.nowMs += 8001;
    expect(eventsOf(bench.step({ kind: 'tick' }))).toEqual(['member-reap']);
    expect(bench.status('n3')).toBeUndefined();
  });
});

describe('reaping and reconnecting', () => {
  it('forgets the failed after 72 h, the left after 24 h, or as the member wished', () => {
    const bench = new Bench();
    const brief = { ...nodeOf('brief', 6), meta: encodeTags({ rc_tm: '1h' }) };
    bench.step({ kind: 'joined', node: brief });
    bench.step({ kind: 'joined', node: nodeOf('n3', 3) });
    bench.hear(leave('n3', 5n));
    for (const node of [nodeOf('n2'), nodeOf('n3', 3), brief]) bench.step({ kind: 'gone', node });
    const at = (hours: number): string[] => {
      bench.nowMs = hours * 3_600_000 + 60_000;
      bench.step({ kind: 'tick' });
      return bench.serf.members().map((member) => member.name);
    };
    expect(at(0)).toEqual(['me', 'n2', 'brief', 'n3']);
    expect(at(1)).toEqual(['me', 'n2', 'n3']);
    expect(at(24)).toEqual(['me', 'n2']);
    expect(at(72)).toEqual(['me']);
  });

  it('tries a failed member again when nobody else is left', () => {
    const bench = new Bench();
    bench.step({ kind: 'gone', node: nodeOf('n2') });
    bench.nowMs += 31_000;
    expect(bench.step({ kind: 'tick' })).toContainEqual({
      kind: 'reconnect',
      name: 'n2',
      host: '10.0.0.2',
      port: 8301,
    });
  });
});

describe('user events', () => {
  const event = (lTime: bigint, name = 'e', payload = 'x'): SerfMessage => ({
    type: 'user-event',
    lTime,
    name,
    payload: ascii(payload),
    coalesce: false,
  });

  it('delivers each once and passes it on once', () => {
    const bench = new Bench();
    expect(eventsOf(bench.hear(event(3n)))).toEqual(['user']);
    expect(eventsOf(bench.hear(event(3n)))).toEqual([]);
    expect(eventsOf(bench.hear(event(3n, 'e', 'y')))).toEqual(['user']);
    expect(bench.spread()).toEqual(['user-event', 'user-event']);
    expect(bench.serf.eventClock).toBe(4n);
  });

  it('drops what is older than the ring, and what a snapshot says was seen', () => {
    const bench = new Bench({ member: 0n, event: 10n, query: 0n });
    expect(eventsOf(bench.hear(event(10n)))).toEqual([]);
    expect(eventsOf(bench.hear(event(11n)))).toEqual(['user']);
    bench.hear(event(1000n));
    const late = bench.hear(event(400n));
    expect(eventsOf(late)).toEqual([]);
    expect(late).toContainEqual({
      kind: 'log',
      level: 'WARN',
      message: 'received old event e from time 400 (current: 1001)',
    });
    expect(eventsOf(bench.hear(event(489n)))).toEqual(['user']);
  });

  it('own events take the clock as it stands and move it', () => {
    const bench = new Bench();
    const [first] = bench.step({ kind: 'fire-event', name: 'mine', payload: NO_BYTES, coalesce: true });
    expect(first).toEqual({
      kind: 'event',
      event: { kind: 'user', lTime: 1n, name: 'mine', payload: NO_BYTES },
    });
    expect(bench.serf.eventClock).toBe(2n);
    expect(bench.spread()).toEqual(['user-event']);
  });
});

describe('push/pull state', () => {
  const state = (overrides: Partial<SerfState>): Uint8Array =>
    encodeSerfState({
      lTime: 0n,
      statusLTimes: new Map(),
      leftMembers: [],
      eventLTime: 0n,
      events: [],
      queryLTime: 0n,
      ...overrides,
    });
  const merge = (bench: Bench, bytes: Uint8Array, ignoreOldEvents = false) =>
    bench.step({ kind: 'merge', bytes, isJoin: true, ignoreOldEvents });

  it('takes over clocks, departures and events without spreading them as intents', () => {
    const bench = new Bench();
    const statusLTimes = new Map([
      ['n2', 20n],
      ['me', 3n],
    ]);
    const events = [{ lTime: 7n, events: [{ name: 'e', payload: ascii('x') }] }];
    const bytes = state({
      lTime: 30n,
      statusLTimes,
      leftMembers: ['n2'],
      eventLTime: 8n,
      events,
      queryLTime: 5n,
    });
    expect(eventsOf(merge(bench, bytes))).toEqual(['user']);
    expect(bench.status('n2')).toBe('leaving');
    expect([bench.serf.memberClock, bench.serf.eventClock, bench.serf.queryClock]).toEqual([30n, 8n, 5n]);
    expect(bench.spread()).toEqual([]);
  });

  it('the state of one who knows of a leave does not make others deaf to it', () => {
    const knowing = new Bench();
    knowing.hear(leave('n2', 5n));
    expect(knowing.status('n2')).toBe('leaving');
    const hearing = new Bench();
    merge(hearing, knowing.serf.localState());
    hearing.hear(leave('n2', 5n));
    expect(hearing.status('n2')).toBe('leaving');
    expect(eventsOf(hearing.step({ kind: 'gone', node: nodeOf('n2') }))).toEqual(['member-leave']);
  });

  it('a join that ignores old events takes none of those before it', () => {
    const bench = new Bench();
    const events = [{ lTime: 7n, events: [{ name: 'e', payload: ascii('x') }] }];
    expect(eventsOf(merge(bench, state({ eventLTime: 8n, events }), true))).toEqual([]);
    const next: SerfMessage = {
      type: 'user-event',
      lTime: 8n,
      name: 'e',
      payload: NO_BYTES,
      coalesce: false,
    };
    expect(eventsOf(bench.hear(next))).toEqual(['user']);
  });

  it('shows all members, who left, and the whole event ring', () => {
    const bench = new Bench();
    bench.hear(leave('n2', 5n));
    bench.step({ kind: 'gone', node: nodeOf('n2') });
    bench.step({ kind: 'fire-event', name: 'e', payload: ascii('x'), coalesce: false });
    const local = bench.serf.localState();
    const decoded = decodeSerfState(local);
    expect(decoded).toMatchObject({ leftMembers: ['n2'], lTime: 6n, eventLTime: 2n, queryLTime: 1n });
    expect(decoded?.statusLTimes).toEqual(
      new Map([
        ['me', 0n],
        ['n2', 5n],
      ]),
    );
    expect(decoded?.events).toEqual([{ lTime: 1n, events: [{ name: 'e', payload: ascii('x') }] }]);
    expect(Buffer.from(local).includes(Buffer.from('dc0200', 'hex'))).toBe(true);
  });

  it('garbage is reported and changes nothing', () => {
    const bench = new Bench();
    const effects = merge(bench, ascii('garbage'));
    expect(effects).toEqual([{ kind: 'log', level: 'ERROR', message: 'Failed to decode remote state' }]);
  });
});

describe('queries', () => {
  const query = (overrides: Partial<Query>): Query => ({
    type: 'query',
    lTime: 4n,
    id: 77,
    address: Uint8Array.of(10, 0, 0, 2),
    port: 8301,
    sourceNode: 'n2',
    filters: [],
    flags: 1,
    relayFactor: 0,
    timeoutNs: 15_000_000_000n,
    name: '_serf_ping',
    payload: NO_BYTES,
    ...overrides,
  });
  const answers = (effects: SerfEffect[]) =>
    effects.flatMap((effect) => {
      const message = effect.kind === 'send-user' ? decodeSerfMessage(effect.payload) : undefined;
      return message?.type === 'query-response' ? [message] : [];
    });

  it('acknowledges, passes on, and does so once', () => {
    const bench = new Bench();
    const ack: QueryResponse = {
      type: 'query-response',
      lTime: 4n,
      id: 77,
      from: 'me',
      flags: 1,
      payload: NO_BYTES,
    };
    expect(answers(bench.hear(query({})))).toEqual([ack]);
    expect(answers(bench.hear(query({})))).toEqual([]);
    expect(bench.spread()).toEqual(['query']);
    bench.hear(query({ id: 78, flags: 3 }));
    expect(bench.spread()).toEqual(['query']);
  });

  it('one meant for others is passed on but not answered', () => {
    const bench = new Bench();
    const tries: [string, Uint8Array, number][] = [
      ['other node', encodeQueryFilter({ kind: 'nodes', names: ['n9'] }), 0],
      ['this node', encodeQueryFilter({ kind: 'nodes', names: ['n9', 'me'] }), 1],
      ['tag', encodeQueryFilter({ kind: 'tag', tag: 'dc', expression: '^dc[12]$' }), 1],
      ['other tag', encodeQueryFilter({ kind: 'tag', tag: 'dc', expression: '^dc2' }), 0],
      ['runaway expression', encodeQueryFilter({ kind: 'tag', tag: 'dc', expression: '(d+)+$' }), 0],
      ['unknown filter', Uint8Array.of(9), 0],
    ];
    tries.forEach(([what, filter, count], i) => {
      expect(answers(bench.hear(query({ id: i, filters: [filter] }))), what).toHaveLength(count);
    });
    expect(bench.serf.stats().query_queue).toBe(String(tries.length));
  });

  it('sends copies of its answer by way of others when asked to', () => {
    const bench = new Bench();
    bench.step({ kind: 'joined', node: nodeOf('n3', 3) });
    const effects = bench.hear(query({ relayFactor: 1 }));
    const [direct, relayed] = effects.filter((effect) => effect.kind === 'send-user');
    expect(direct).toMatchObject({ host: '10.0.0.2' });
    expect(relayed).toMatchObject({ host: '10.0.0.3' });
    const message = relayed && decodeSerfMessage(relayed.payload);
    expect(message).toMatchObject({ type: 'relay', name: 'n2', port: 8301, inner: direct?.payload });
  });

  it('passes a relayed message on to where it should go', () => {
    const bench = new Bench();
    const inner = ascii('inner');
    const effects = bench.hear({
      type: 'relay',
      address: Uint8Array.of(10, 0, 0, 9),
      port: 9,
      name: 'n9',
      inner,
    });
    expect(effects).toEqual([{ kind: 'send-user', host: '10.0.0.9', port: 9, payload: inner }]);
  });

  it('answers key queries and says when the keyring changed', () => {
    const first = new Uint8Array(16).fill(1);
    const second = new Uint8Array(16).fill(2);
    const bench = new Bench(undefined, new Keyring([first]));
    const ask = (id: number, name: string, key: Uint8Array) => {
      const effects = bench.hear(query({ id, flags: 0, name, payload: encodeKeyRequest(key) }));
      const [answer] = answers(effects);
      const isChanged = effects.some((effect) => effect.kind === 'keyring-changed');
      return { ...(answer && decodeKeyResponse(answer.payload)), isChanged };
    };
    expect(ask(1, '_serf_install-key', second)).toMatchObject({ isDone: true, isChanged: true });
    expect(ask(2, '_serf_list-keys', NO_BYTES)).toMatchObject({
      isDone: true,
      isChanged: false,
      primaryKey: 'AQEBAQEBAQEBAQEBAQEBAQ==',
      keys: ['AQEBAQEBAQEBAQEBAQEBAQ==', 'AgICAgICAgICAgICAgICAg=='],
    });
    expect(ask(3, '_serf_remove-key', first)).toMatchObject({
      isDone: false,
      message: 'Removing the primary key is not allowed',
    });
    expect(ask(4, '_serf_use-key', second)).toMatchObject({ isDone: true, isChanged: true });
    const open = new Bench();
    const [answer] = answers(open.hear(query({ name: '_serf_list-keys', flags: 0 })));
    expect(answer && decodeKeyResponse(answer.payload)).toMatchObject({
      isDone: false,
      message: 'Keyring is empty (encryption not enabled)',
    });
  });

  it('own queries gather answers until all have answered or time is up', () => {
    const bench = new Bench();
    bench.step({ kind: 'query', name: '_serf_list-keys', payload: NO_BYTES, relayFactor: 0, token: 5 });
    const reply = (from: string): SerfMessage => ({
      type: 'query-response',
      lTime: 1n,
      id: sent.id,
      from,
      flags: 0,
      payload: ascii(from),
    });
    const [bytes] = bench.serf.takeBroadcasts(3, 100_000);
    const message = bytes && decodeSerfMessage(bytes);
    if (message?.type !== 'query') throw new Error('a query was to be spread');
    const sent = message;
    expect(bench.hear(reply('n2'))).toEqual([]);
    expect(bench.hear(reply('n2'))).toEqual([]);
    expect(bench.hear(reply('nobody'))).toEqual([]);
    const answered = new Map([
      ['n2', ascii('n2')],
      ['me', ascii('me')],
    ]);
    expect(bench.hear(reply('me'))).toEqual([{ kind: 'query-done', token: 5, answers: answered }]);
    bench.step({ kind: 'query', name: '_serf_list-keys', payload: NO_BYTES, relayFactor: 0, token: 6 });
    bench.nowMs += 3201;
    expect(bench.step({ kind: 'tick' })).toContainEqual({ kind: 'query-done', token: 6, answers: new Map() });
  });
});

it('stats have the keys that info shows', () => {
  const bench = new Bench();
  bench.step({ kind: 'gone', node: nodeOf('n2') });
  expect(bench.serf.stats()).toEqual({
    coordinate_resets: '0',
    event_queue: '0',
    event_time: '1',
    failed: '1',
    intent_queue: '0',
    left: '0',
    member_time: '1',
    members: '2',
    query_queue: '0',
    query_time: '1',
  });
});

it('unknown and malformed messages are dropped with a warning', () => {
  const bench = new Bench();
  for (const bytes of [NO_BYTES, Uint8Array.of(99), Uint8Array.of(1, 0xdf)]) {
    const effects = bench.step({ kind: 'user-message', bytes });
    expect(effects).toMatchObject([{ kind: 'log', level: 'WARN' }]);
  }
});
