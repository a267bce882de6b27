/** A whole pool under fire: mutated packets and streams must neither throw nor take over. */

import { describe, expect, it } from 'vitest';
import type { Env } from '../../shared/env.ts';
import { SeededRandom, SimulatedClock } from '../../shared/simulated-env.ts';
import { encodeMessage, type SwimMessage } from './codec/messages.ts';
import { encodePushPull } from './codec/push-pull.ts';
import { encodeSerfMessage, type SerfMessage } from './codec/serf-messages.ts';
import { encodeSerfState } from './codec/serf-state.ts';
import { encodeTags } from './codec/tags.ts';
import type { GossipStream, GossipTransport, TransportListener } from './gossip-transport.ts';
import { asUserMessage } from './swim/packet-fill.ts';
import { testConfig, testPool } from './testing/pool-fixture.ts';

const FROM = { host: '10.0.0.9', port: 8301 };
const ADDRESS = Uint8Array.of(10, 0, 0, 9);
const NO_SOURCE = { sourceAddress: ADDRESS, sourcePort: 8301, sourceNode: 'x' };
const META = encodeTags({ role: 'node' });
const VERSIONS = [1, 5, 2, 2, 5, 4] as const;

const membership: SwimMessage[] = [
  { type: 'ping', seqNo: 1, node: 'victim', ...NO_SOURCE },
  { type: 'indirect-ping', seqNo: 1, target: ADDRESS, port: 8301, node: 'x', nack: true, ...NO_SOURCE },
  { type: 'ack', seqNo: 1, payload: new Uint8Array(0) },
  { type: 'nack', seqNo: 1 },
  { type: 'alive', incarnation: 5, node: 'x', address: ADDRESS, port: 8301, meta: META, versions: VERSIONS },
  { type: 'suspect', incarnation: 5, node: 'x', from: 'victim' },
  { type: 'dead', incarnation: 5, node: 'victim', from: 'x' },
];
const serf: SerfMessage[] = [
  { type: 'join', lTime: 5n, node: 'x' },
  { type: 'leave', lTime: 6n, node: 'victim', prune: true },
  { type: 'user-event', lTime: 7n, name: 'e', payload: META, coalesce: false },
  { type: 'query-response', lTime: 1n, id: 1, from: 'x', flags: 0, payload: META },
];
const packets = [
  ...membership.map(encodeMessage),
  ...serf.map((message) => asUserMessage(encodeSerfMessage(message))),
];
const exchange = encodePushPull({
  isJoin: true,
  nodes: [
    {
      name: 'x',
      address: ADDRESS,
      port: 8301,
      meta: META,
      incarnation: 3,
      state: 'alive',
      versions: VERSIONS,
    },
  ],
  userState: encodeSerfState({
    lTime: 9n,
    statusLTimes: new Map([['x', 3n]]),
    leftMembers: ['victim'],
    eventLTime: 4n,
    events: [{ lTime: 3n, events: [{ name: 'e', payload: META }] }],
    queryLTime: 2n,
  }),
});

function mutated(random: SeededRandom, original: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(original);
  for (let flips = Math.floor(random.next() * 4); flips > 0; flips--)
    bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
  return random.next() < 0.2 ? bytes.subarray(0, Math.floor(random.next() * bytes.length)) : bytes;
}

describe('a pool under fire', () => {
  it('stays itself, alive and bounded', async () => {
    const clock = new SimulatedClock();
    const random = new SeededRandom(77);
    const env: Env = { clock, random: new SeededRandom(78) };
    let listener: TransportListener | undefined;
    let sent = 0;
    const transport: GossipTransport = {
      bind: async (_host, _port, given) => {
        listener = given;
        return 8301;
      },
      sendPacket: () => {
        sent += 1;
      },
      connect: async () => {
        throw new Error('dial tcp: connect: connection refused');
      },
      resolve: async () => [],
      close: async () => undefined,
    };
    const { pool, statuses } = testPool(testConfig('victim', { bindPort: 8301 }), env, transport);
    await pool.start();
    for (let round = 0; round < 20_000; round++) {
      const original = packets[round % packets.length];
      if (original !== undefined) listener?.onPacket(mutated(random, original), FROM);
      if (round % 20 === 0) listener?.onStream(streamOf(mutated(random, exchange)));
      if (round % 50 === 0) await clock.advanceAsync(10);
    }
    await clock.advanceAsync(60_000);
    expect(statuses().victim).toBe('alive');
    expect(pool.members().length).toBeGreaterThan(1);
    expect(pool.members().length).toBeLessThan(25_000);
    expect(sent).toBeGreaterThan(1000);
    await pool.shutdown();
  });
});

/** A peer that sends these bytes and closes. */
function streamOf(bytes: Uint8Array): GossipStream {
  return {
    remote: FROM,
    listen: (onBytes, onClose) => {
      void Promise.resolve().then(() => {
        onBytes(bytes);
        onClose(undefined);
      });
    },
    write: () => undefined,
    end: () => undefined,
    destroy: () => undefined,
  };
}
