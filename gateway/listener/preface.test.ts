import { expect, test } from 'vitest';
import { protocolOf } from './preface.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

test.each([
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
  ['PRI * HTTP/2.0\r\n', 'http2'],
  ['PRI * HTTP/2.0\r', undefined],
  ['P', undefined],
  ['', undefined],
  ['PUT /v1/kv/a HTTP/1.1\r\n', 'http1'],
  ['PRI * HTTP/2.1\r\n', 'http1'],
  ['GET / HTTP/1.1\r\n', 'http1'],
  ['\u0016\u0003\u0001', 'http1'],
])('%j is %s', (head, protocol) => {
  expect(protocolOf(bytes(head))).toBe(protocol);
});
