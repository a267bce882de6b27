/** Byte-exact vectors of the gossip reference, encoded and decoded. */

import { describe, expect, it } from 'vitest';
import { encodeCompound } from './compound.ts';
import { compressMessage, decompressMessage } from './compression.ts';
import { decodeCoordinatePayload, encodeCoordinatePayload } from './coordinate-payload.ts';
import { encryptBlob } from './encryption.ts';
import { Keyring } from './keyring.ts';
import { lzwCompress, lzwDecompress } from './lzw.ts';
import {
  decodeErrorMessage,
  decodeMessage,
  encodeErrorMessage,
  encodeMessage,
  type SwimMessage,
} from './messages.ts';
import { encodeWith } from './msgpack-writer.ts';
import { openPacket, type PacketSecurity, sealPacket } from './packet.ts';
import { decodePushPull, encodePushPull, writePushNodeState } from './push-pull.ts';
import {
  decodeKeyRequest,
  decodeQueryFilter,
  encodeKeyRequest,
  encodeQueryFilter,
} from './query-payloads.ts';
import { decodeSerfMessage, encodeSerfMessage, type SerfMessage } from './serf-messages.ts';
import { decodeSerfState, encodeSerfState } from './serf-state.ts';
import { encryptForStream, openStream } from './stream.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const ascii = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const NONE = new Uint8Array(0);
const VERSIONS = [1, 5, 2, 2, 5, 4] as const;
const NO_SOURCE = { sourceAddress: NONE, sourcePort: 0, sourceNode: '' };
const SOURCE = { sourceAddress: LOOPBACK, sourcePort: 8301, sourceNode: 'me' };
const PING = '0082a44e6f6465a26e31a55365714e6f2a';
const NACK = '0b81a55365714e6f01';
const SERF_ACK = '0585a5466c61677301a446726f6da16ea249444da54c54696d6501a75061796c6f6164c0';
const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const NONCE = Uint8Array.from({ length: 12 }, (_, i) => i);

const open: PacketSecurity = { keyring: new Keyring([]), verifyIncoming: true, verifyOutgoing: true };
const keyed: PacketSecurity = { keyring: new Keyring([KEY]), verifyIncoming: true, verifyOutgoing: true };

function messagesIn(packet: Uint8Array, security: PacketSecurity): string[] {
  const found: string[] = [];
  openPacket(
    packet,
    security,
    (message) => found.push(hex(message)),
    (problem) => found.push(`problem: ${problem}`),
  );
  return found;
}

describe('membership messages', () => {
  const cases: [string, SwimMessage, string][] = [
    [
      'ping with source',
      { type: 'ping', seqNo: 42, node: 'n1', ...SOURCE },
      '0085a44e6f6465a26e31a55365714e6f2aaa536f7572636541646472a47f000001aa536f757263654e6f6465a26d65aa536f75726365506f7274cd206d',
    ],
    ['ping', { type: 'ping', seqNo: 42, node: 'n1', ...NO_SOURCE }, PING],
    [
      'indirect ping',
      {
        type: 'indirect-ping',
        seqNo: 42,
        target: LOOPBACK,
        port: 8301,
        node: 'n1',
        nack: true,
        ...NO_SOURCE,
      },
      '0185a44e61636bc3a44e6f6465a26e31a4506f7274cd206da55365714e6f2aa6546172676574a47f000001',
    ],
    ['ack', { type: 'ack', seqNo: 300, payload: NONE }, '0282a75061796c6f6164c0a55365714e6fcd012c'],
    ['nack', { type: 'nack', seqNo: 1 }, NACK],
    [
      'suspect',
      { type: 'suspect', incarnation: 1, node: 'n', from: 'f' },
      '0383a446726f6da166ab496e6361726e6174696f6e01a44e6f6465a16e',
    ],
    [
      'alive',
      {
        type: 'alive',
        incarnation: 1,
        node: 'n',
        address: LOOPBACK,
        port: 8301,
        meta: Uint8Array.of(0xff, 0x80),
        versions: VERSIONS,
      },
      '0486a441646472a47f000001ab496e6361726e6174696f6e01a44d657461a2ff80a44e6f6465a16ea4506f7274cd206da356736ea6010502020504',
    ],
    [
      'dead',
      { type: 'dead', incarnation: 1, node: 'n', from: 'n' },
      '0583a446726f6da16eab496e6361726e6174696f6e01a44e6f6465a16e',
    ],
  ];
  it.each(cases)('%s', (_, message, bytes) => {
    expect(hex(encodeMessage(message))).toBe(bytes);
    const decoded = decodeMessage(unhex(bytes));
    expect(decoded).toBeDefined();
    expect(decoded && hex(encodeMessage(decoded))).toBe(bytes);
    expect(decoded).toMatchObject({ type: message.type });
  });

  it('error', () => {
    expect(hex(encodeErrorMessage('boom'))).toBe('0d81a54572726f72a4626f6f6d');
    expect(decodeErrorMessage(unhex('0d81a54572726f72a4626f6f6d'))).toBe('boom');
  });

  it('push/pull header', () => {
    const userState = new Uint8Array(10);
    const node = {
      name: 'n',
      address: LOOPBACK,
      port: 8301,
      meta: NONE,
      incarnation: 3,
      state: 'dead',
      versions: VERSIONS,
    } as const;
    const bytes = encodePushPull({ isJoin: true, nodes: [node, node], userState });
    expect(hex(bytes)).toMatch(/^0683a44a6f696ec3a54e6f64657302ac5573657253746174654c656e0a87/);
    expect(decodePushPull(bytes)).toEqual({
      isJoin: true,
      nodes: [
        { ...node, address: LOOPBACK },
        { ...node, address: LOOPBACK },
      ],
      userState: Buffer.from(userState),
    });
  });

  it('node state', () => {
    const bytes = encodeWith((out) =>
      writePushNodeState(out, {
        name: 'n',
        address: LOOPBACK,
        port: 8301,
        meta: NONE,
        incarnation: 3,
        state: 'dead',
        versions: VERSIONS,
      }),
    );
    expect(hex(bytes)).toBe(
      '87a441646472a47f000001ab496e6361726e6174696f6e03a44d657461c0a44e616d65a16ea4506f7274cd206da5537461746502a356736ea6010502020504',
    );
  });
});

describe('compression', () => {
  it('wraps LZW in a map', () => {
    const vector = '0982a4416c676f00a3427566b200d19461c3e60d0881040d222c787060c180';
    expect(hex(compressMessage(ascii('hello hello hello hello')))).toBe(vector);
    expect(decompressMessage(unhex(vector), 100)).toEqual(ascii('hello hello hello hello'));
  });

  it.each([
    ['', '000302'],
    ['A', '00830404'],
    ['A'.repeat(16), '0083081c48b0609080'],
    ['TOBEORNOTTOBEORTOBEORNOT', '00a93c1152e48914274fa80824687061c183090302'],
  ])('LZW of %j', (text, bytes) => {
    expect(hex(lzwCompress(ascii(text)))).toBe(bytes);
    expect(lzwDecompress(unhex(bytes), 100)).toEqual(ascii(text));
  });
});

describe('envelopes', () => {
  it('checksum', () => {
    const vector = `0cd9932662${PING}`;
    expect(hex(sealPacket([unhex(PING)], true, open, () => NONCE))).toBe(vector);
    expect(messagesIn(unhex(vector), open)).toEqual([PING]);
  });

  it('compound', () => {
    const vector = `070200110009${PING}${NACK}`;
    expect(hex(encodeCompound([unhex(PING), unhex(NACK)]))).toBe(vector);
    expect(messagesIn(unhex(vector), open)).toEqual([PING, NACK]);
  });

  it('UDP encryption version 1', () => {
    const vector =
      '01000102030405060708090a0b93ee0380097f92f625e3c4d953d23e67999f7878f3b4f70f665cef66c5175831b0';
    expect(hex(sealPacket([unhex(PING)], false, keyed, () => NONCE))).toBe(vector);
    expect(messagesIn(unhex(vector), keyed)).toEqual([PING]);
  });

  it('UDP encryption version 0', () => {
    const vector =
      '00000102030405060708090a0b93ee0380097f92f625e3c4d953d23e67992915e95ce2f2f9e92efe221b4bad63cadf1b08930bd5f65aacc700bd6983b9';
    expect(hex(encryptBlob(KEY, NONCE, unhex(PING), NONE, 0))).toBe(vector);
    expect(messagesIn(unhex(vector), keyed)).toEqual([PING]);
  });

  it('TCP encryption', () => {
    const vector =
      '0a0000002e01000102030405060708090a0b93ee0380097f92f625e3c4d953d23e6799cf8dc30bea9044dc7bb4ede598e18354';
    expect(hex(encryptForStream(KEY, NONCE, unhex(PING)))).toBe(vector);
    const opened = openStream(unhex(vector), keyed);
    expect(opened.kind === 'message' && hex(opened.message)).toBe(PING);
  });

  it('a label is for someone else: dropped without a word', () => {
    const vector =
      'f403666f6f01000102030405060708090a0b93ee0380097f92f625e3c4d953d23e67996bd1c9e0c67c040eb89a3b70f9208fcf';
    expect(messagesIn(unhex(vector), keyed)).toEqual([]);
    expect(hex(encryptBlob(KEY, NONCE, unhex(PING), ascii('foo')))).toBe(vector.slice('f403666f6f'.length));
  });
});

describe('serf messages', () => {
  const cases: [string, SerfMessage, string][] = [
    ['join', { type: 'join', lTime: 5n, node: 'n1' }, '0182a54c54696d6505a44e6f6465a26e31'],
    [
      'leave',
      { type: 'leave', lTime: 5n, node: 'n1', prune: false },
      '0083a54c54696d6505a44e6f6465a26e31a55072756e65c2',
    ],
    [
      'user event',
      {
        type: 'user-event',
        lTime: 5n,
        name: 'consul:event:deploy',
        payload: ascii('x'),
        coalesce: true,
      },
      '0384a24343c3a54c54696d6505a44e616d65b3636f6e73756c3a6576656e743a6465706c6f79a75061796c6f6164a178',
    ],
    [
      'query response',
      { type: 'query-response', lTime: 1n, id: 77, from: 'n', flags: 1, payload: NONE },
      SERF_ACK,
    ],
    [
      'query',
      {
        type: 'query',
        lTime: 1n,
        id: 77,
        address: LOOPBACK,
        port: 8301,
        sourceNode: 'n',
        filters: [],
        flags: 1,
        relayFactor: 0,
        timeoutNs: 15_000_000_000n,
        name: '_serf_ping',
        payload: NONE,
      },
      '048ba441646472a47f000001a746696c74657273c0a5466c61677301a249444da54c54696d6501a44e616d65aa5f736572665f70696e67a75061796c6f6164c0a4506f7274cd206dab52656c6179466163746f7200aa536f757263654e6f6465a16ea754696d656f7574cf000000037e11d600',
    ],
    [
      'relay',
      { type: 'relay', address: LOOPBACK, port: 8301, name: 'n', inner: unhex(SERF_ACK) },
      `0982a8446573744164647283a24950a47f000001a4506f7274cd206da45a6f6e65a0a8446573744e616d65a16e${SERF_ACK}`,
    ],
  ];
  it.each(cases)('%s', (_, message, bytes) => {
    expect(hex(encodeSerfMessage(message))).toBe(bytes);
    expect(decodeSerfMessage(unhex(bytes))).toEqual(message);
  });

  it('push/pull state', () => {
    const vector =
      '0286aa4576656e744c54696d6501a64576656e747393c0c0c0a54c54696d6505ab4c6566744d656d6265727390aa51756572794c54696d6501ac5374617475734c54696d657381a26e3103';
    const state = {
      lTime: 5n,
      statusLTimes: new Map([['n1', 3n]]),
      leftMembers: [],
      eventLTime: 1n,
      events: [undefined, undefined, undefined],
      queryLTime: 1n,
    };
    expect(hex(encodeSerfState(state))).toBe(vector);
    expect(decodeSerfState(unhex(vector))).toEqual({ ...state, events: [] });
  });

  it('query filters', () => {
    const nodes = { kind: 'nodes', names: ['a', 'b'] } as const;
    const tag = { kind: 'tag', tag: 't', expression: 'e' } as const;
    expect(hex(encodeQueryFilter(nodes))).toBe('0092a161a162');
    expect(hex(encodeQueryFilter(tag))).toBe('0182a445787072a165a3546167a174');
    expect(decodeQueryFilter(unhex('0092a161a162'))).toEqual(nodes);
    expect(decodeQueryFilter(unhex('0182a445787072a165a3546167a174'))).toEqual(tag);
  });

  it('key request', () => {
    const vector = '0781a34b6579b030313233343536373839616263646566';
    expect(hex(encodeKeyRequest(ascii('0123456789abcdef')))).toBe(vector);
    expect(decodeKeyRequest(unhex(vector))).toEqual(ascii('0123456789abcdef'));
  });

  it('coordinate payload', () => {
    const vector = `0184aa41646a7573746d656e74cb0000000000000000a54572726f72cb3ff8000000000000a6486569676874cb3ee4f8b588e368f1a356656398${'cb0000000000000000'.repeat(8)}`;
    const coordinate = { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 1e-5 };
    expect(hex(encodeCoordinatePayload(coordinate))).toBe(vector);
    expect(decodeCoordinatePayload(unhex(vector))).toEqual(coordinate);
  });
});
