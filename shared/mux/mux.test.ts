import { describe, expect, test } from 'vitest';
import { simulatedEnv } from '../simulated-env.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import {
  HeaderLists,
  headText,
  KIND,
  MAX_BODY_BYTES,
  MAX_HEAD_BYTES,
  MAX_PAYLOAD_BYTES,
  MuxHeadError,
  MuxProtocolError,
} from './frames.ts';

/** Writes down every frame as a line. */
function transcript(): { lines: string[]; reader: FrameReader } {
  const lines: string[] = [];
  const note =
    (name: string) =>
    (...values: unknown[]): void => {
      lines.push(
        [name, ...values.map((value) => (Buffer.isBuffer(value) ? value.toString() : value))].join(' | '),
      );
    };
  const sink: FrameSink = {
    onHello: note('hello'),
    onRequest: note('request'),
    onResponse: note('response'),
    onData: note('data'),
    onWindow: note('window'),
    onReset: note('reset'),
    onPing: note('ping'),
    onPong: note('pong'),
    onGoaway: note('goaway'),
  };
  return { lines, reader: new FrameReader(sink) };
}

function written(write: (frames: FrameWriter) => void): Buffer {
  const frames = new FrameWriter();
  write(frames);
  return Buffer.concat(frames.take());
}

const LONG = 'x'.repeat(10_000);

function writeOneOfEach(frames: FrameWriter): void {
  frames.hello(100);
  frames.request(1, true, headText(['GET', '/v1/kv/a?x=1'], ['Accept', '*/*', 'X-Umlaut', '\u00fc']));
  frames.request(3, false, headText(['PUT', '/v1/kv/b'], []), Buffer.from(LONG));
  frames.data(3, true, Buffer.from('rest'));
  frames.response(1, true, 200, headText([], ['X-Consul-Index', '7']), 'text: \u00fc', 8);
  frames.response(3, false, 404, '');
  frames.data(3, true, new Uint8Array(0));
  frames.window(3, 65_536);
  frames.reset(5, 2);
  frames.ping(9);
  frames.pong(9);
  frames.goaway(5);
}

const ONE_OF_EACH = [
  'hello | 100',
  'request | 1 | true | GET\n/v1/kv/a?x=1\nAccept\n*/*\nX-Umlaut\n\u00fc | ',
  `request | 3 | false | PUT\n/v1/kv/b | ${LONG}`,
  'data | 3 | true | rest',
  'response | 1 | true | 200 | X-Consul-Index\n7 | text: \u00fc',
  'response | 3 | false | 404 |  | ',
  'data | 3 | true | ',
  'window | 3 | 65536',
  'reset | 5 | 2',
  'ping | 9',
  'pong | 9',
  'goaway | 5',
];

describe('frames', () => {
  test('come out as they went in', () => {
    const { lines, reader } = transcript();
    reader.push(written(writeOneOfEach));
    expect(lines).toEqual(ONE_OF_EACH);
  });

  test.each([1, 2, 3, 8, 9, 10, 100, 4096])('in pieces of %i bytes as well', (size) => {
    const { lines, reader } = transcript();
    const bytes = written(writeOneOfEach);
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    expect(lines).toEqual(ONE_OF_EACH);
  });

  test('in pieces of every random size', () => {
    const { random } = simulatedEnv(7);
    for (let round = 0; round < 200; round++) {
      const { lines, reader } = transcript();
      const bytes = written(writeOneOfEach);
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + Math.floor(random.next() ** 4 * 6000);
        reader.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(lines).toEqual(ONE_OF_EACH);
    }
  });

  test('a long body is not copied, a short one is', () => {
    const frames = new FrameWriter();
    const long = Buffer.alloc(MAX_BODY_BYTES, 'l');
    const short = Buffer.from('short');
    frames.response(1, true, 200, '', long);
    frames.response(3, true, 200, '', short);
    const pieces = frames.take();
    expect(pieces).toContain(long);
    expect(pieces).toHaveLength(3);
    expect(frames.isEmpty).toBe(true);
  });

  test('what was taken stays as it was while more is written', () => {
    const frames = new FrameWriter();
    const taken: string[] = [];
    const kept: Uint8Array[][] = [];
    for (let i = 0; i < 3000; i++) {
      frames.response(i, true, 200, `X-N\n${i}`, Buffer.from(`body ${i}`));
      const pieces = frames.take();
      kept.push(pieces);
      taken.push(Buffer.concat(pieces).toString('latin1'));
    }
    expect(kept.map((pieces) => Buffer.concat(pieces).toString('latin1'))).toEqual(taken);
  });
});

describe('refused', () => {
  const frame = (kind: number, payload: number[], length = payload.length) =>
    Buffer.from(
      [0, 0, 0, 0, kind, 0, 0, 0, 1, ...payload].map((byte, i) =>
        i < 4 ? (length >>> (24 - 8 * i)) & 255 : byte,
      ),
    );

  test.each([
    ['an unknown kind', frame(0, [])],
    ['a kind from the future', frame(10, [1])],
    ['a frame beyond all bounds', frame(KIND.data, [], MAX_PAYLOAD_BYTES + 1)],
    ['a reset without its reason', frame(KIND.reset, [])],
    ['a number of three bytes', frame(KIND.window, [0, 0, 1])],
    ['unknown flags', frame(KIND.data, [2])],
    ['data without flags', frame(KIND.data, [])],
    ['a request without its head', frame(KIND.request, [1, 0, 0])],
    ['a head longer than its frame', frame(KIND.request, [1, 0, 0, 0, 9, 65])],
    ['a head of four gigabytes', frame(KIND.request, [1, 255, 255, 255, 255, 65])],
    ['a status that is none', frame(KIND.response, [1, 0, 99, 0, 0, 0, 0])],
  ])('%s', (_what, bytes) => {
    expect(() => transcript().reader.push(bytes)).toThrow(MuxProtocolError);
  });

  test('a body longer than a frame may bring', () => {
    const payload = Buffer.alloc(5 + MAX_BODY_BYTES + 1);
    payload[0] = 1;
    const header = Buffer.alloc(9);
    header.writeUInt32BE(payload.length, 0);
    header[4] = KIND.request;
    expect(() => transcript().reader.push(Buffer.concat([header, payload]))).toThrow(MuxProtocolError);
  });

  test('noise, without anything but that error', () => {
    const { random } = simulatedEnv(11);
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(random.bytes(1 + Math.floor(random.next() * 60)));
      // Half the time a plausible length, so that the kinds get their share.
      if (random.next() < 0.5) bytes.fill(0, 0, Math.min(3, bytes.length));
      if (random.next() < 0.5 && bytes.length > 4) bytes[4] = 1 + Math.floor(random.next() * 9);
      try {
        transcript().reader.push(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(MuxProtocolError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(500);
  });

  test('changed bytes of good frames, without anything but that error', () => {
    const { random } = simulatedEnv(13);
    const good = written(writeOneOfEach);
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(good);
      for (let n = 0; n < 3; n++) bytes[Math.floor(random.next() * 200)] = Math.floor(random.next() * 256);
      try {
        transcript().reader.push(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(MuxProtocolError);
      }
    }
  });
});

describe('heads', () => {
  test.each(['a\nb', 'a\rb', 'a\0b', '\u0100', '\u{1f600}'])('%j is no part of one', (part) => {
    expect(() => headText(['GET', '/'], ['X', part])).toThrow(MuxHeadError);
    expect(() => headText(['GET', part], [])).toThrow(MuxHeadError);
  });

  test('too long to be sent are refused before anything is written', () => {
    const frames = new FrameWriter();
    expect(() => frames.request(1, true, 'x'.repeat(MAX_HEAD_BYTES + 1))).toThrow(MuxHeadError);
    expect(frames.isEmpty).toBe(true);
  });

  test('become lists, the same list for the same text, and names need values', () => {
    const lists = new HeaderLists(1000);
    expect(lists.parse('')).toEqual([]);
    expect(lists.parse('A\n1\nB\n')).toEqual(['A', '1', 'B', '']);
    expect(lists.parse('A\n1')).toBe(lists.parse('A\n1'));
    expect(() => lists.parse('A\n1\nB')).toThrow(MuxProtocolError);
    for (let i = 0; i < 5000; i++) lists.parse(`A\n${i}`);
    expect(lists.parse('A\n4999')).toEqual(['A', '4999']);
  });
});
