/** The peer protocol: what is written is read back, and nothing that is not of it gets through. */

import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../shared/simulated-env.ts';
import { ByteWriter, FormatError } from '../bytes.ts';
import { encodePeers } from '../core/configuration.ts';
import { asIndex, asNodeId, asTerm, NO_BYTES } from '../core/entry.ts';
import {
  decodeHello,
  decodeMessage,
  encodeChunkHead,
  encodeHello,
  encodeMessage,
  MAX_WIRE_FRAME_BYTES,
  PROTOCOL_VERSION,
  WIRE_HEADER_BYTES,
  type WireMessage,
} from './codec.ts';
import { FrameReader } from './frame-reader.ts';

const peers = [{ id: asNodeId('a'), address: '10.0.0.1:8300', isVoter: true }];
const stamp = { round: 7, sentAtMs: 1234.5 };
const term = asTerm(9);

const MESSAGES: readonly WireMessage[] = [
  {
    kind: 'vote-request',
    term,
    isPreVote: true,
    isForced: false,
    lastIndex: asIndex(2 ** 53 - 1),
    lastTerm: asTerm(8),
  },
  { kind: 'vote-reply', term, isPreVote: false, granted: true },
  {
    kind: 'append',
    term,
    prevIndex: asIndex(4),
    prevTerm: asTerm(3),
    commitIndex: asIndex(4),
    stamp,
    entries: [
      { index: asIndex(5), term: asTerm(3), kind: 'command', data: new Uint8Array([1, 2, 3]) },
      { index: asIndex(6), term, kind: 'noop', data: NO_BYTES },
      { index: asIndex(7), term, kind: 'configuration', data: encodePeers(peers) },
    ],
  },
  {
    kind: 'append-reply',
    term,
    accepted: false,
    index: asIndex(4),
    hintIndex: asIndex(2),
    hintTerm: asTerm(1),
    stamp,
  },
  { kind: 'heartbeat', term, commitIndex: asIndex(3), stamp },
  { kind: 'heartbeat-reply', term, stamp },
  { kind: 'timeout-now', term, round: 5 },
  { kind: 'read-index', term, batch: 6 },
  { kind: 'read-index-reply', term, batch: 6, index: asIndex(7) },
  {
    kind: 'snapshot-chunk',
    term,
    transfer: 3,
    meta: { index: asIndex(5), term: asTerm(4), configurationIndex: asIndex(1), peers },
    size: 10,
    checksum: 0xffff_ffff,
    offset: 0,
    bytes: new Uint8Array([9, 9]),
  },
  { kind: 'snapshot-chunk-reply', term, transfer: 3, offset: -1 },
];

function framed(message: WireMessage): Uint8Array {
  const writer = new ByteWriter();
  encodeMessage(writer, message);
  return writer.finish();
}

const payloadOf = (message: WireMessage): Uint8Array => framed(message).subarray(WIRE_HEADER_BYTES);

describe('messages', () => {
  it.each(MESSAGES.map((message) => [message.kind, message] as const))(
    '%s survives the trip',
    (_kind, message) => {
      expect(decodeMessage(payloadOf(message))).toEqual(message);
    },
  );

  it.each([0, 1, 300_000])('a piece of a snapshot may be written in two parts, %i bytes', (size) => {
    const found = MESSAGES.find((message) => message.kind === 'snapshot-chunk');
    if (found?.kind !== 'snapshot-chunk') throw new Error('no piece of a snapshot');
    const chunk = { ...found, bytes: new SeededRandom(2).bytes(size) };
    expect(Buffer.concat([encodeChunkHead(chunk), chunk.bytes])).toEqual(Buffer.from(framed(chunk)));
  });

  it('refuses each of them cut anywhere, or with a byte too many', () => {
    for (const message of MESSAGES) {
      const payload = payloadOf(message);
      for (let size = 0; size < payload.length; size++)
        expect(() => decodeMessage(payload.subarray(0, size))).toThrow(FormatError);
      expect(() => decodeMessage(Buffer.concat([payload, new Uint8Array(1)]))).toThrow(FormatError);
    }
  });

  it('throws nothing but FormatError on noise', () => {
    const random = new SeededRandom(1);
    for (let i = 0; i < 20_000; i++) {
      const noise = i % 2 === 0 ? random.bytes(1 + (i % 60)) : mutated(random, i);
      try {
        decodeMessage(noise);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
  });

  it('refuses entries whose terms fall or pass the sender’s', () => {
    const append = MESSAGES[2] as WireMessage & { readonly kind: 'append' };
    const entry = { index: asIndex(5), term: asTerm(2), kind: 'noop', data: NO_BYTES } as const;
    expect(() => decodeMessage(payloadOf({ ...append, entries: [entry] }))).toThrow('entry of term 2');
    const late = { ...entry, term: asTerm(10) };
    expect(() => decodeMessage(payloadOf({ ...append, entries: [late] }))).toThrow('entry of term 10');
  });
});

function mutated(random: SeededRandom, i: number): Uint8Array {
  const bytes = payloadOf(MESSAGES[i % MESSAGES.length] as WireMessage).slice();
  for (let k = 0; k < 3; k++) bytes[random.nextUint32() % bytes.length] = random.nextUint32() & 0xff;
  return bytes;
}

describe('hello', () => {
  const hello = { version: PROTOCOL_VERSION, from: asNodeId('a'), to: asNodeId('b'), address: 'h:1' };

  it('says who speaks to whom', () => {
    const writer = new ByteWriter();
    encodeHello(writer, hello);
    expect(decodeHello(writer.finish().subarray(WIRE_HEADER_BYTES))).toEqual(hello);
  });

  it('is refused in an unknown version', () => {
    const writer = new ByteWriter();
    encodeHello(writer, { ...hello, version: 2 });
    const payload = writer.finish().subarray(WIRE_HEADER_BYTES);
    expect(() => decodeHello(payload)).toThrow('unknown protocol version 2');
  });
});

describe('frames', () => {
  it('come out whole, however the stream was cut', () => {
    const stream = Buffer.concat(MESSAGES.map(framed));
    for (const step of [1, 3, 10, 64, stream.length]) {
      const reader = new FrameReader();
      const found: WireMessage[] = [];
      for (let at = 0; at < stream.length; at += step)
        for (const payload of reader.push(stream.subarray(at, at + step))) found.push(decodeMessage(payload));
      expect(Buffer.concat(found.map(framed)).equals(stream)).toBe(true);
    }
  });

  it('are refused when too long or changed on the way', () => {
    const long = new ByteWriter();
    long.u32(MAX_WIRE_FRAME_BYTES + 1);
    long.u32(0);
    expect(() => new FrameReader().push(long.finish())).toThrow(FormatError);
    const changed = framed(MESSAGES[4] as WireMessage).slice();
    changed[12] = (changed[12] ?? 0) ^ 1;
    expect(() => new FrameReader().push(changed)).toThrow('checksum does not match');
  });
});
