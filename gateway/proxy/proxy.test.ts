import { describe, expect, test } from 'vitest';
import { answerHeaders, requestHeaders } from './headers.ts';
import { queryValue, splitTarget, withQueryValue } from './target.ts';

describe('targets', () => {
  test('paths are decoded for decisions, unless the agent would redirect or refuse them', () => {
    expect(splitTarget('/v1/kv/a%2Fb%20c?x')).toEqual({ path: '/v1/kv/a/b c', query: 'x' });
    expect(splitTarget('/v1/kv/..a/b.').path).toBe('/v1/kv/..a/b.');
    for (const target of ['/v1/kv//a', '/v1/kv/a%2F%2Fb', '/v1/./a', '/v1/a/..', '/v1/%2e%2e/a', '/v1/%zz'])
      expect(splitTarget(target).path).toBeUndefined();
  });

  test('query values', () => {
    expect(queryValue('a=1&stale&b=x%20y+z', 'b')).toBe('x y z');
    expect(queryValue('a=1&stale', 'stale')).toBe('');
    expect(queryValue('a=1', 'stale')).toBeUndefined();
    expect(queryValue('%69ndex=5', 'index')).toBe('5');
    expect(queryValue('index=%zz', 'index')).toBe('');
  });

  test('a value is replaced without touching the rest', () => {
    expect(withQueryValue('/p?a=%2F&wait=1s&b&wait=2s', 'wait', '3ms')).toBe('/p?a=%2F&b&wait=3ms');
    expect(withQueryValue('/p', 'wait', '3ms')).toBe('/p?wait=3ms');
  });
});

describe('headers', () => {
  test('hop-by-hop headers stay behind, also those that Connection names', () => {
    const sent = requestHeaders(
      [
        'Host',
        'x',
        'Connection',
        'X-Mine, keep-alive',
        'X-Mine',
        '1',
        'TE',
        'trailers',
        'X-Consul-Token',
        't',
        'Expect',
        '100-continue',
      ],
      '192.0.2.9',
    );
    expect(sent).toEqual(['X-Consul-Token', 't', 'X-Forwarded-For', '192.0.2.9']);
    expect(answerHeaders(['Transfer-Encoding', 'chunked', 'Keep-Alive', 'x', 'X-Consul-Index', '5'])).toEqual(
      ['X-Consul-Index', '5'],
    );
  });

  test('the client is appended to those before it', () => {
    expect(requestHeaders(['X-Forwarded-For', 'a, b'], 'c')).toEqual(['X-Forwarded-For', 'a, b, c']);
    expect(requestHeaders([], '')).toEqual([]);
  });
});
