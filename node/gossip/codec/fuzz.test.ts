/** Mutated and random bytes through everything that reads from the net: nothing may throw out, nothing may grow without bound. */

import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../shared/simulated-env.ts';
import { decodeCoordinatePayload } from './coordinate-payload.ts';
import { Keyring } from './keyring.ts';
import { decodeErrorMessage, decodeMessage, encodeMessage, type SwimMessage } from './messages.ts';
import { openPacket, type PacketSecurity, sealPacket } from './packet.ts';
import { decodePushPull, encodePushPull } from './push-pull.ts';
import {
  decodeKeyRequest,
  decodeKeyResponse,
  decodeQueryFilter,
  encodeQueryFilter,
} from './query-payloads.ts';
import { decodeSerfMessage, encodeSerfMessage } from './serf-messages.ts';
import { decodeSerfState, encodeSerfState } from './serf-state.ts';
import { openStream, StreamAssembler, sealStream } from './stream.ts';
import { decodeTags, encodeTags } from './tags.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const SOURCE = { sourceAddress: LOOPBACK, sourcePort: 8301, sourceNode: 'me' };
const PAYLOAD = new Uint8Array(Buffer.from('payload of some length'));

const membership: SwimMessage[] = [
  { type: 'ping', seqNo: 70_000, node: 'n1', ...SOURCE },
  { type: 'indirect-ping', seqNo: 42, target: LOOPBACK, port: 8301, node: 'n1', nack: true, ...SOURCE },
  { type: 'ack', seqNo: 300, payload: PAYLOAD },
  { type: 'suspect', incarnation: 1, node: 'n', from: 'f' },
  {
    type: 'alive',
    incarnation: 1,
    node: 'n',
    address: LOOPBACK,
    port: 8301,
    meta: encodeTags({ role: 'node', dc: 'dc1' }),
    versions: [1, 5, 2, 2, 5, 4],
  },
  { type: 'dead', incarnation: 1, node: 'n', from: 'n' },
];
const messages = membership.map(encodeMessage);
const serf = [
  encodeSerfMessage({ type: 'join', lTime: 5n, node: 'n1' }),
  encodeSerfMessage({ type: 'leave', lTime: 5n, node: 'n1', prune: true }),
  encodeSerfMessage({ type: 'user-event', lTime: 5n, name: 'e', payload: PAYLOAD, coalesce: false }),
  encodeSerfMessage({
    type: 'query',
    lTime: 1n,
    id: 7,
    address: LOOPBACK,
    port: 1,
    sourceNode: 'n',
    filters: [encodeQueryFilter({ kind: 'nodes', names: ['a', 'b'] })],
    flags: 1,
    relayFactor: 2,
    timeoutNs: 5n,
    name: '_serf_ping',
    payload: PAYLOAD,
  }),
  encodeSerfMessage({ type: 'relay', address: LOOPBACK, port: 1, name: 'n', inner: PAYLOAD }),
];
const state = encodeSerfState({
  lTime: 9n,
  statusLTimes: new Map([['n1', 3n]]),
  leftMembers: ['n2'],
  eventLTime: 4n,
  events: [{ lTime: 3n, events: [{ name: 'e', payload: PAYLOAD }] }, undefined],
  queryLTime: 2n,
});
const exchange = encodePushPull({
  isJoin: true,
  nodes: [
    {
      name: 'n1',
      address: LOOPBACK,
      port: 8301,
      meta: encodeTags({ role: 'node' }),
      incarnation: 3,
      state: 'suspect',
      versions: [1, 5, 2, 2, 5, 4],
    },
  ],
  userState: state,
});

const plain: PacketSecurity = { keyring: new Keyring([]), verifyIncoming: true, verifyOutgoing: true };
const lax: PacketSecurity = { ...plain, keyring: new Keyring([new Uint8Array(16)]), verifyIncoming: false };
const nonce = () => new Uint8Array(12);

/** Some flips, cuts, repeats and inserts. */
function mutated(random: SeededRandom, original: Uint8Array): Uint8Array {
  let bytes = Array.from(original);
  const at = () => Math.floor(random.next() * bytes.length);
  for (let changes = 1 + Math.floor(random.next() * 4); changes > 0; changes--) {
    const choice = random.next();
    if (choice < 0.5) bytes[at()] = Math.floor(random.next() * 256);
    else if (choice < 0.65) bytes = bytes.slice(0, at());
    else if (choice < 0.8) bytes.splice(at(), Math.floor(random.next() * 4));
    else if (choice < 0.95) bytes.splice(at(), 0, ...random.bytes(1 + Math.floor(random.next() * 5)));
    else bytes = bytes.concat(bytes.slice(at()));
  }
  return Uint8Array.from(bytes);
}

function readEverything(bytes: Uint8Array): number {
  let found = 0;
  for (const security of [plain, lax]) {
    openPacket(
      bytes,
      security,
      (message) => {
        found += 1;
        decodeMessage(message);
        decodeSerfMessage(message.subarray(1));
      },
      () => undefined,
    );
    const opened = openStream(bytes, security);
    if (opened.kind === 'message') decodePushPull(opened.message);
  }
  const assembled = new StreamAssembler().push(bytes);
  if (assembled?.kind === 'message') decodePushPull(assembled.message);
  decodePushPull(bytes);
  decodeMessage(bytes);
  decodeErrorMessage(bytes);
  decodeSerfMessage(bytes);
  decodeSerfState(bytes);
  decodeTags(bytes);
  decodeQueryFilter(bytes);
  decodeKeyRequest(bytes);
  decodeKeyResponse(bytes);
  decodeCoordinatePayload(bytes);
  return found;
}

describe('the receive path', () => {
  it('survives thousands of mutated packets and streams', () => {
    const random = new SeededRandom(2026);
    const seeds = [
      ...messages,
      ...serf,
      state,
      exchange,
      sealPacket(messages, true, plain, nonce),
      sealPacket(messages, false, lax, nonce),
      sealStream(exchange, plain, nonce),
      sealStream(exchange, lax, nonce),
    ];
    let readable = 0;
    for (let round = 0; round < 20_000; round++) {
      const seed = seeds[round % seeds.length];
      if (seed !== undefined && readEverything(mutated(random, seed)) > 0) readable += 1;
    }
    // The mutations are mild enough that much of it is still read.
    expect(readable).toBeGreaterThan(5000);
  });

  it('survives random bytes', () => {
    const random = new SeededRandom(7);
    let readable = 0;
    for (let round = 0; round < 5000; round++)
      readable += readEverything(random.bytes(Math.floor(random.next() * 200)));
    expect(readable).toBeGreaterThan(0);
  });
});
