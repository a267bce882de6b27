import { describe, expect, test } from 'vitest';
import { ConsulError } from '../../shared/errors.ts';
import { SeededRandom } from '../../shared/simulated-env.ts';
import {
  jsonHead,
  packError,
  packRead,
  packRequest,
  packValue,
  type RpcRequest,
  unpackError,
  unpackJson,
  unpackRead,
  unpackRequest,
  unpackValue,
} from './messages.ts';

const REQUEST: RpcRequest = {
  kind: 'json',
  name: 'Health.ServiceNodes',
  args: { service: 'web', tags: ['a'], flags: 2n ** 64n - 1n, value: Buffer.from([0, 255]), none: undefined },
  datacenter: 'dc2',
  token: 't',
  consistency: 'stale',
  maxStaleMs: 5.5,
  minIndex: 2 ** 40,
  waitMs: 1000,
  pretty: true,
  isForwarded: true,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};

describe('requests', () => {
  test('survive the wire', () => {
    expect(unpackRequest(packRequest(REQUEST))).toEqual(REQUEST);
  });

  test('survive without the optional parts', () => {
    const plain: RpcRequest = {
      ...REQUEST,
      kind: 'write',
      consistency: 'default',
      maxStaleMs: undefined,
      pretty: false,
      isForwarded: false,
      traceparent: undefined,
    };
    expect(unpackRequest(packRequest(plain))).toEqual(plain);
  });

  test('carry a request ID only when there is one', () => {
    const numbered = { ...REQUEST, requestId: '0123456789abcdef.7.3' };
    expect(unpackRequest(packRequest(numbered))).toEqual(numbered);
    expect(unpackValue(packRequest(numbered))).toHaveLength(12);
    expect(unpackValue(packRequest(REQUEST))).toHaveLength(11);
  });

  test.each([
    ['no array', packValue({})],
    ['too short', packValue([0])],
    ['unknown kind', packValue([9, 'n', {}, '', '', 0, null, 0, 0, 0, null])],
    ['unknown consistency', packValue([0, 'n', {}, '', '', 7, null, 0, 0, 0, null])],
    ['arguments that are no object', packValue([0, 'n', 5, '', '', 0, null, 0, 0, 0, null])],
    ['a negative index', packValue([0, 'n', {}, '', '', 0, null, -1, 0, 0, null])],
    ['an index that is no number', packValue([0, 'n', {}, '', '', 0, null, Number.NaN, 0, 0, null])],
    ['nothing', Buffer.alloc(0)],
  ])('%s is refused as malformed', (_name, bytes) => {
    expect(() => unpackRequest(bytes)).toThrow('malformed RPC message');
  });

  test('damaged bytes give a request or a ConsulError, nothing else', () => {
    const random = new SeededRandom(3);
    const intact = packRequest(REQUEST);
    for (let run = 0; run < 2000; run++) {
      const damaged = Buffer.from(intact);
      damaged[Math.floor(random.next() * damaged.length)] = Math.floor(random.next() * 256);
      try {
        unpackRequest(damaged.subarray(0, 1 + Math.floor(random.next() * damaged.length)));
      } catch (error) {
        expect(error).toBeInstanceOf(ConsulError);
      }
    }
  });
});

test('answers survive the wire', () => {
  const meta = { index: 2 ** 41, knownLeader: true, lastContactMs: 12.5 };
  expect(unpackRead(packRead({ meta, value: [{ A: null }] }))).toEqual({ meta, value: [{ A: null }] });
  const body = Buffer.from('{"a":1}');
  const json = { meta, body, isEmpty: false };
  expect(unpackJson(Buffer.concat([jsonHead(json), body]))).toEqual(json);
  expect(unpackValue(packValue(undefined))).toBeUndefined();
  expect(() => unpackJson(Buffer.alloc(3))).toThrow('malformed RPC message');
});

describe('errors', () => {
  test('keep code, status, text and whether anything was applied', () => {
    const error = new ConsulError('outcome-unknown', 500, 'leadership lost while committing log');
    const { code, status, message, applied } = unpackError(packError(error));
    expect({ code, status, message, applied }).toEqual({
      code: 'outcome-unknown',
      status: 500,
      message: 'leadership lost while committing log',
      applied: 'unknown',
    });
    expect(unpackError(packError(new ConsulError('timeout', 500, 'x', { applied: 'no' }))).applied).toBe(
      'no',
    );
  });

  test.each([[packValue(1)], [packValue(['nonsense', 999, 'text', 'no'])], [Buffer.from([0xc1])]])(
    'an unreadable one becomes an internal error',
    (bytes) => {
      const error = unpackError(bytes);
      expect([error.code, error.status]).toEqual(['internal', 500]);
    },
  );
});
