import { describe, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { PlainRequestReader } from './plain-request.ts';

const MAX_HEADER = 1024 * 1024;
const reader = new PlainRequestReader(MAX_HEADER);
const read = (text: string) => reader.read(Buffer.from(text, 'latin1'));
const GET = 'GET /v1/kv/a HTTP/1.1\r\n';
const PUT = 'PUT /v1/kv/a HTTP/1.1\r\n';
const HOST = 'Host: x\r\n';

describe('plain', () => {
  test('a read with headers as they came', () => {
    const text = `GET /v1/kv/a%2F..?raw&x=1 HTTP/1.1\r\nhost: x\r\nX-Consul-Token:  s e \tt \r\nEmpty:\r\nUmlaut: \u00fc\r\n\r\n`;
    expect(read(text)).toEqual({
      method: 'GET',
      target: '/v1/kv/a%2F..?raw&x=1',
      headers: ['host', 'x', 'X-Consul-Token', 's e \tt', 'Empty', '', 'Umlaut', '\u00fc'],
      bodyStart: text.length,
      end: text.length,
    });
  });

  test('a write with its body, and where the next request begins', () => {
    const text = `${PUT}${HOST}Content-Length: 3\r\n\r\n`;
    expect(read(`${text}abcGET /`)).toMatchObject({
      method: 'PUT',
      bodyStart: text.length,
      end: text.length + 3,
    });
  });

  test('the same block gives the same list, whatever the target', () => {
    const headersOf = (text: string) => {
      const outcome = read(text);
      return typeof outcome === 'string' ? undefined : outcome.headers;
    };
    const first = headersOf(`${GET}${HOST}Accept: */*\r\n\r\n`);
    expect(first).toBeDefined();
    expect(headersOf(`GET /v1/kv/b HTTP/1.1\r\n${HOST}Accept: */*\r\n\r\n`)).toBe(first);
    for (let i = 0; i < 5000; i++)
      expect(headersOf(`${GET}${HOST}X: ${i}\r\n\r\n`)).toEqual(['Host', 'x', 'X', `${i}`]);
  });

  test.each(['', 'G', GET, `${GET}${HOST}`, `${GET}${HOST}\r`, `${PUT}${HOST}Content-Length: 3\r\n\r\nab`])(
    '%j is not complete',
    (text) => expect(read(text)).toBe('incomplete'),
  );
});

describe('odd, and so left to node:http', () => {
  test.each([
    ['no Host', GET.concat('\r\n')],
    ['two Hosts', `${GET}${HOST}${HOST}\r\n`],
    ['another version', `GET /v1/kv/a HTTP/1.0\r\n${HOST}\r\n`],
    ['a page', `GET /metrics HTTP/1.1\r\n${HOST}\r\n`],
    ['a path like ours', `GET /v1 HTTP/1.1\r\n${HOST}\r\n`],
    ['an absolute target', `GET http://x/v1/kv/a HTTP/1.1\r\n${HOST}\r\n`],
    ['a target with a blank', `GET /v1/kv/a b HTTP/1.1\r\n${HOST}\r\n`],
    ['a target with a fragment', `GET /v1/kv/a#b HTTP/1.1\r\n${HOST}\r\n`],
    ['a target with a backslash', `GET /v1/kv/a\\b HTTP/1.1\r\n${HOST}\r\n`],
    ['a target beyond ASCII', `GET /v1/kv/\u00fc HTTP/1.1\r\n${HOST}\r\n`],
    ['another method', `HEAD /v1/kv/a HTTP/1.1\r\n${HOST}\r\n`],
    ['a method in lower case', `get /v1/kv/a HTTP/1.1\r\n${HOST}\r\n`],
    ['an empty line before', `\r\n${GET}${HOST}\r\n`],
    ['bare line feeds', `GET /v1/kv/a HTTP/1.1\n${HOST}\r\n\r\n`],
    ['bare line feeds only', 'GET /v1/kv/a HTTP/1.1\nHost: x\n\n'],
    ['a bare carriage return in a value', `${GET}${HOST}A: b\rc\r\n\r\n`],
    ['a bare line feed in a value', `${GET}${HOST}A: b\nContent-Length: 5\r\n\r\n`],
    ['a null byte', `${GET}${HOST}A: b\0\r\n\r\n`],
    ['a blank before the colon', `${PUT}${HOST}Content-Length : 3\r\n\r\nabc`],
    ['a folded line', `${GET}${HOST}A: b\r\n c\r\n\r\n`],
    ['a header without a name', `${GET}${HOST}: b\r\n\r\n`],
    ['a header without a colon', `${GET}${HOST}Foo\r\n\r\n`],
    ['a chunked body', `${PUT}${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['both framings', `${PUT}${HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['an obscured framing', `${PUT}${HOST}Transfer-Encoding: xchunked\r\n\r\n`],
    ['two lengths', `${PUT}${HOST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
    ['a list of lengths', `${PUT}${HOST}Content-Length: 3, 3\r\n\r\nabc`],
    ['a signed length', `${PUT}${HOST}Content-Length: +3\r\n\r\nabc`],
    ['a length in hexadecimal', `${PUT}${HOST}Content-Length: 0x3\r\n\r\nabc`],
    ['a length without digits', `${PUT}${HOST}Content-Length:\r\n\r\nabc`],
    ['a read with a body', `${GET}${HOST}Content-Length: 3\r\n\r\nabc`],
    ['a long body', `${PUT}${HOST}Content-Length: 65537\r\n\r\n`],
    ['Expect', `${PUT}${HOST}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n`],
    ['Upgrade', `${GET}${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`],
    ['a connection that ends', `${GET}${HOST}Connection: close\r\n\r\n`],
    ['a connection header with names', `${GET}${HOST}Connection: keep-alive, X-Consul-Token\r\n\r\n`],
    ['a head without end', `${GET}${HOST}A: ${'x'.repeat(20_000)}`],
    ['a long head', `${GET}${HOST}A: ${'x'.repeat(20_000)}\r\n\r\n`],
  ])('%s', (_what, text) => expect(read(text)).toBe('odd'));

  test('a head beyond the limit of the gateway', () => {
    const small = new PlainRequestReader(1024);
    expect(small.read(Buffer.from(`${GET}${HOST}A: ${'x'.repeat(2000)}\r\n\r\n`))).toBe('odd');
  });

  test('whatever noise comes, nothing is thrown and nothing passes that the grammar does not know', () => {
    const { random } = simulatedEnv(3);
    const good = `${PUT}${HOST}Content-Length: 3\r\nAccept: */*\r\n\r\nabc`;
    for (let round = 0; round < 5000; round++) {
      const bytes = Buffer.from(good, 'latin1');
      for (let n = 0; n < 1 + (round % 3); n++)
        bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
      const outcome = reader.read(bytes);
      if (typeof outcome === 'string') continue;
      const text = bytes.toString('latin1', 0, outcome.bodyStart);
      expect(text).not.toMatch(/[^\r]\n|\r[^\n]|\0/);
      expect(text.match(/^host:/gim)).toHaveLength(1);
      expect(outcome.end - outcome.bodyStart).toBe(
        Number(/^content-length:[ \t]*(\d+)/im.exec(text)?.[1] ?? 0),
      );
    }
  });
});
