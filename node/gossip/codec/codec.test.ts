/** Bounds and edge cases of the codec. */

import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../shared/simulated-env.ts';
import { decodeCompound, encodeCompound } from './compound.ts';
import { compressMessage, decompressMessage } from './compression.ts';
import { decryptBlob, encryptBlob } from './encryption.ts';
import { hostPort, ipBytes, ipText } from './ip-address.ts';
import { KEY_ERROR, Keyring } from './keyring.ts';
import { lzwCompress, lzwDecompress } from './lzw.ts';
import { MAX_STREAM_BYTES } from './message-type.ts';
import { decodeMessage, encodeMessage } from './messages.ts';
import { DecodeError, MsgpackReader } from './msgpack-reader.ts';
import { encodeWith } from './msgpack-writer.ts';
import { openPacket, type PacketSecurity, sealPacket } from './packet.ts';
import { encodePushPull, type PushNodeState } from './push-pull.ts';
import { encryptForStream, openStream, StreamAssembler, sealStream } from './stream.ts';
import { decodeTags, encodeTags } from './tags.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const key = (byte: number, length = 16) => new Uint8Array(length).fill(byte);
const nonce = () => new Uint8Array(12);
const plain: PacketSecurity = { keyring: new Keyring([]), verifyIncoming: true, verifyOutgoing: true };
const NACK = encodeMessage({ type: 'nack', seqNo: 7 });

function open(packet: Uint8Array, security = plain): { messages: string[]; problems: string[] } {
  const messages: string[] = [];
  const problems: string[] = [];
  openPacket(
    packet,
    security,
    (message) => messages.push(hex(message)),
    (problem) => problems.push(problem),
  );
  return { messages, problems };
}

describe('msgpack dialect', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65_535, 'cdffff'],
    [65_536, 'ce00010000'],
    [0xffff_ffff, 'ceffffffff'],
    [0x1_0000_0000n, 'cf0000000100000000'],
    [0xffff_ffff_ffff_ffffn, 'cfffffffffffffffff'],
  ])('integer %s is %s', (value, bytes) => {
    expect(hex(encodeWith((out) => out.uint(value)))).toBe(bytes);
    expect(new MsgpackReader(unhex(bytes)).uint64()).toBe(BigInt(value));
  });

  it.each([
    [-1n, 'ff'],
    [-32n, 'e0'],
    [-33n, 'd3ffffffffffffffdf'],
  ])('negative integer %s is %s', (value, bytes) => {
    expect(hex(encodeWith((out) => out.int(value)))).toBe(bytes);
    expect(new MsgpackReader(unhex(bytes)).int64()).toBe(value);
  });

  it('a 36-character identifier uses the two-byte length, never str8', () => {
    const bytes = encodeWith((out) => out.string('x'.repeat(36)));
    expect(hex(bytes.subarray(0, 3))).toBe('da0024');
    expect(new MsgpackReader(unhex('d903616263')).string()).toBe('abc');
  });

  it('takes bin for bytes but not for strings', () => {
    expect(hex(new MsgpackReader(unhex('c403010203')).bytes())).toBe('010203');
    expect(hex(new MsgpackReader(unhex('93010203')).bytes())).toBe('010203');
    expect(() => new MsgpackReader(unhex('c403616263')).string()).toThrow(DecodeError);
    expect(decodeMessage(unhex('0b81c4055365714e6f01'))).toBeUndefined();
  });

  it('ignores unknown fields however they nest and leaves missing ones at zero', () => {
    const bytes = encodeWith((out) => {
      out.byte(0x0b);
      out.map(2);
      out.string('Later');
      out.array(2);
      out.map(1);
      out.string('a');
      out.float64(1.5);
      out.nil();
      out.string('SeqNo');
      out.uint(9);
    });
    expect(decodeMessage(bytes)).toEqual({ type: 'nack', seqNo: 9 });
    expect(decodeMessage(unhex('0b80'))).toEqual({ type: 'nack', seqNo: 0 });
  });

  it('refuses claims that the message is too short for', () => {
    expect(decodeMessage(unhex('0bdfffffffff'))).toBeUndefined();
    expect(decodeMessage(unhex('0b81a55365714e6fdbffffffff'))).toBeUndefined();
    expect(() => new MsgpackReader(unhex('ddffffffff')).array()).toThrow(DecodeError);
  });

  it('refuses numbers that do not fit their field', () => {
    expect(decodeMessage(unhex('0b81a55365714e6fcf0000000100000000'))).toBeUndefined();
    expect(decodeMessage(unhex('0b81a55365714e6fff'))).toBeUndefined();
  });

  it('steps over deep nesting without recursion', () => {
    const deep = new Uint8Array(100_001).fill(0x91);
    deep[100_000] = 0xc0;
    const reader = new MsgpackReader(deep);
    reader.skip();
    expect(reader.left).toBe(0);
  });
});

describe('LZW', () => {
  it('round-trips random, repetitive and long inputs', () => {
    const random = new SeededRandom(11);
    for (let round = 0; round < 60; round++) {
      const length = round * round * 20;
      const alphabet = 1 + Math.floor(random.next() * 255);
      const input = Uint8Array.from({ length }, () => Math.floor(random.next() * alphabet));
      expect(hex(lzwDecompress(lzwCompress(input), length) ?? NACK)).toBe(hex(input));
    }
  });

  it('stops at the bound instead of growing', () => {
    const bomb = lzwCompress(new Uint8Array(5_000_000));
    expect(bomb.length).toBeLessThan(20_000);
    expect(lzwDecompress(bomb, 100_000)).toBeUndefined();
    expect(decompressMessage(compressMessage(new Uint8Array(1000)), 999)).toBeUndefined();
    expect(decompressMessage(compressMessage(new Uint8Array(1000)), 1000)).toHaveLength(1000);
  });

  it('refuses input that ends early or refers to nothing', () => {
    expect(lzwDecompress(unhex('0083'), 100)).toBeUndefined();
    expect(lzwDecompress(unhex('ffffff'), 100)).toBeUndefined();
    expect(lzwDecompress(new Uint8Array(0), 100)).toBeUndefined();
  });
});

describe('packets', () => {
  it('a truncated compound still yields its complete parts', () => {
    const whole = encodeCompound([NACK, NACK, NACK]);
    const cut = whole.subarray(0, whole.length - 1);
    expect(decodeCompound(cut)).toMatchObject({ missing: 1 });
    expect(open(cut)).toEqual({
      messages: [hex(NACK), hex(NACK)],
      problems: ['Compound request had 1 truncated messages'],
    });
    expect(open(unhex('07ff00')).problems).toEqual([
      'Failed to decode compound request: truncated len slice',
    ]);
  });

  it('compresses only when that is smaller', () => {
    expect(sealPacket([NACK], false, plain, nonce)).toEqual(NACK);
    const long = encodeMessage({ type: 'suspect', incarnation: 1, node: 'n'.repeat(300), from: 'f' });
    const sealed = sealPacket([long], false, plain, nonce);
    expect(sealed[0]).toBe(9);
    expect(open(sealed).messages).toEqual([hex(long)]);
  });

  it('bounds nesting and decompression', () => {
    let nested = NACK;
    for (let depth = 0; depth < 20; depth++) nested = encodeCompound([nested]);
    expect(open(nested)).toEqual({ messages: [], problems: ['Failed to decode packet: nested too deep'] });
    const bomb = compressMessage(new Uint8Array(1_000_000));
    expect(open(bomb)).toEqual({ messages: [], problems: ['Failed to decompress packet'] });
    const half = compressMessage(new Uint8Array(100_000));
    expect(open(encodeCompound([half, half, half])).problems).toHaveLength(2);
  });

  it('a wrong checksum drops the packet', () => {
    const sealed = sealPacket([NACK], true, plain, nonce);
    sealed[sealed.length - 1] = 99;
    expect(open(sealed)).toEqual({ messages: [], problems: ['Got invalid checksum for UDP packet'] });
  });

  it('drops plaintext unless incoming verification is off', () => {
    const keyring = new Keyring([key(1)]);
    expect(open(NACK, { keyring, verifyIncoming: true, verifyOutgoing: true }).messages).toEqual([]);
    expect(open(NACK, { keyring, verifyIncoming: false, verifyOutgoing: true }).messages).toEqual([
      hex(NACK),
    ]);
    const outgoing = { keyring, verifyIncoming: true, verifyOutgoing: false };
    expect(sealPacket([NACK], false, outgoing, nonce)).toEqual(NACK);
  });
});

describe('encryption', () => {
  it('opens with any key of the ring and refuses anything else', () => {
    for (const length of [16, 24, 32]) {
      const blob = encryptBlob(key(2, length), nonce(), NACK, NACK);
      expect(hex(decryptBlob([key(1), key(2, length)], blob, NACK) ?? key(0))).toBe(hex(NACK));
      expect(decryptBlob([key(1)], blob, NACK)).toBeUndefined();
      expect(decryptBlob([key(2, length)], blob, key(0))).toBeUndefined();
      expect(decryptBlob([key(2, length)], blob.subarray(0, 28), NACK)).toBeUndefined();
    }
    const future = encryptBlob(key(2), nonce(), NACK, NACK);
    future[0] = 2;
    expect(decryptBlob([key(2)], future, NACK)).toBeUndefined();
  });

  it('keyring rules', () => {
    const ring = new Keyring([key(1), key(1), key(2)]);
    expect(ring.keys).toEqual([key(1), key(2)]);
    expect(ring.install(key(3, 15))).toBe(KEY_ERROR.size);
    expect(ring.use(key(9))).toBe('Requested key is not in the keyring');
    expect(ring.remove(key(1))).toBe('Removing the primary key is not allowed');
    expect(ring.remove(key(9))).toBeUndefined();
    expect(ring.use(key(2))).toBeUndefined();
    expect(ring.keys).toEqual([key(2), key(1)]);
    expect(ring.remove(key(1))).toBeUndefined();
    expect(ring.keys).toEqual([key(2)]);
    expect(() => new Keyring([key(1, 5)])).toThrow('key size must be 16, 24 or 32 bytes');
  });
});

describe('streams', () => {
  const keyed: PacketSecurity = { ...plain, keyring: new Keyring([key(4)]) };
  const node: PushNodeState = {
    name: 'n'.repeat(40),
    address: Uint8Array.of(127, 0, 0, 1),
    port: 8301,
    meta: encodeTags({ role: 'node' }),
    incarnation: 1,
    state: 'alive',
    versions: [1, 5, 2, 2, 5, 4],
  };
  const message = encodePushPull({ isJoin: true, nodes: new Array(50).fill(node), userState: key(7, 1000) });

  it.each([
    ['plain', message],
    ['compressed', sealStream(message, plain, nonce)],
    ['encrypted', sealStream(message, keyed, nonce)],
    ['encrypted, not compressed', encryptForStream(key(4), nonce(), message)],
    ['a user message', unhex('0881aa557365724d73674c656e03010203')],
  ])('finds the end of %s, however it is cut', (_, sealed) => {
    const security = sealed[0] === 10 ? keyed : plain;
    for (const step of [1, 7, 100, sealed.length + 9]) {
      const assembler = new StreamAssembler();
      const stream = Buffer.concat([sealed, Buffer.from('trailing')]);
      let result: ReturnType<StreamAssembler['push']>;
      let pushed = 0;
      for (; result === undefined && pushed < stream.length; pushed += step)
        result = assembler.push(stream.subarray(pushed, pushed + step));
      expect(result?.kind).toBe('message');
      expect(pushed - step).toBeLessThan(sealed.length);
      if (result?.kind !== 'message') return;
      expect(hex(result.message)).toBe(hex(sealed));
      expect(openStream(result.message, security).kind).toBe('message');
    }
  });

  it('refuses what claims to be larger than the limit before taking it in', () => {
    const claim = new Uint8Array(5);
    claim[0] = 10;
    new DataView(claim.buffer).setUint32(1, MAX_STREAM_BYTES + 1);
    const limit = `Remote node state is larger than limit (${MAX_STREAM_BYTES + 1})`;
    expect(new StreamAssembler().push(claim)).toEqual({ kind: 'refused', problem: limit });
    const raw = unhex('0982a4416c676f00a3427566dbffffffff');
    expect(new StreamAssembler().push(raw)?.kind).toBe('refused');
  });

  it('refuses at the first byte what can never become a message', () => {
    expect(new StreamAssembler().push(unhex('f403666f6f'))).toEqual({
      kind: 'refused',
      problem: 'Received invalid msgType (244)',
    });
    expect(new StreamAssembler().push(new Uint8Array(Buffer.from('GET / HTTP/1.1')))?.kind).toBe('refused');
  });

  it('says why a stream cannot be read', () => {
    const encrypted = sealStream(message, keyed, nonce);
    const other: PacketSecurity = { ...plain, keyring: new Keyring([key(5)]) };
    const problemOf = (bytes: Uint8Array, security: PacketSecurity) => {
      const opened = openStream(bytes, security);
      return opened.kind === 'refused' ? opened.problem : 'none';
    };
    expect(problemOf(encrypted, plain)).toBe('Remote state is encrypted and encryption is not configured');
    expect(problemOf(message, keyed)).toBe('Encryption is configured but remote state is not encrypted');
    expect(problemOf(message, { ...keyed, verifyIncoming: false })).toBe('none');
    expect(problemOf(encrypted, other)).toBe('No installed keys could decrypt the message');
    expect(problemOf(unhex('0980'), plain)).toBe('failed to decompress stream');
  });
});

describe('addresses and tags', () => {
  it.each([
    ['127.0.0.1', '7f000001'],
    ['::1', '00000000000000000000000000000001'],
    ['fe80::1:0:0:2', 'fe800000000000000001000000000002'],
    ['2001:db8::8a2e:370:7334', '20010db80000000000008a2e03707334'],
    ['::', '00000000000000000000000000000000'],
  ])('%s', (text, bytes) => {
    const parsed = ipBytes(text);
    expect(parsed && hex(parsed)).toBe(bytes);
    expect(ipText(unhex(bytes))).toBe(text);
  });

  it('prints canonical text', () => {
    expect(ipText(unhex('20010db8000000000000000000000001'))).toBe('2001:db8::1');
    expect(ipText(unhex('00000000000000000000ffff0a000001'))).toBe('10.0.0.1');
    expect(ipText(unhex('00010000000200000003000000040005'))).toBe('1:0:2:0:3:0:4:5');
    expect(ipText(unhex('010203'))).toBeUndefined();
    expect(ipBytes('nonsense')).toBeUndefined();
    expect(hostPort('::1', 5)).toBe('[::1]:5');
  });

  it('tags, with the old bare role and the size limit', () => {
    expect(decodeTags(encodeTags({ b: '2', a: '1' }))).toEqual({ a: '1', b: '2' });
    expect(decodeTags(new Uint8Array(Buffer.from('web')))).toEqual({ role: 'web' });
    expect(decodeTags(unhex('ff91'))).toEqual({});
    expect(() => encodeTags({ a: 'x'.repeat(600) })).toThrow(
      'Encoded length of tags exceeds limit of 512 bytes',
    );
  });
});
