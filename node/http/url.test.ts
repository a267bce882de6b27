import { describe, expect, test } from 'vitest';
import { maskTokens, QueryString, QuerySyntaxError } from './query-string.ts';
import { maskedUrl } from './request-log.ts';
import { cleanPath, escapePath, parseTarget } from './url-path.ts';

describe('parseTarget', () => {
  test.each([
    ['/v1/kv/a?raw', { path: '/v1/kv/a', rawQuery: 'raw', mayBeUnclean: false, isPrintable: true }],
    ['/v1//kv', { path: '/v1//kv', rawQuery: '', mayBeUnclean: true, isPrintable: true }],
    ['/a/./b', { path: '/a/./b', rawQuery: '', mayBeUnclean: true, isPrintable: true }],
    ['/a%2Fb', { path: '/a/b', rawQuery: '', mayBeUnclean: true, isPrintable: true }],
    ['/a+b%20c', { path: '/a+b c', rawQuery: '', mayBeUnclean: true, isPrintable: true }],
    ['/caf%C3%A9', { path: '/café', rawQuery: '', mayBeUnclean: true, isPrintable: true }],
    ['/caf\u00c3\u00a9', { path: '/café', rawQuery: '', mayBeUnclean: true, isPrintable: true }],
    ['/bell%07', { path: '/bell\x07', rawQuery: '', mayBeUnclean: true, isPrintable: false }],
    ['http://h:1/v1/x?a=/', { path: '/v1/x', rawQuery: 'a=/', mayBeUnclean: false, isPrintable: true }],
  ])('%s', (url, target) => {
    expect(parseTarget(url)).toEqual(target);
  });

  test.each(['/%zz', '/%', '/a%2', '/%ff', '/\u00ff'])('%s is refused', (url) => {
    expect(parseTarget(url)).toBeUndefined();
  });
});

test.each([
  ['/v1//status/leader', '/v1/status/leader'],
  ['/a/../../b/', '/b/'],
  ['/a/./b', '/a/b'],
  ['//', '/'],
  ['/a/..', '/'],
  ['/v1/kv/a/', '/v1/kv/a/'],
])('cleanPath(%s)', (path, clean) => {
  expect(cleanPath(path)).toBe(clean);
});

test('escapePath escapes what Go escapes', () => {
  expect(escapePath("/a b/é%?#!'()*[]&=+:@$,;~-_.")).toBe(
    '/a%20b/%C3%A9%25%3F%23%21%27%28%29%2A%5B%5D&=+:@$,;~-_.',
  );
});

describe('QueryString', () => {
  test('first values, presence, repeats', () => {
    const query = new QueryString('flags=1&flags=2&&raw&%72ecurse=&a=b=c&d=x+y%26');
    expect(query.get('flags')).toBe('1');
    expect(query.all('flags')).toEqual(['1', '2']);
    expect(query.get('raw')).toBe('');
    expect(query.has('recurse')).toBe(true);
    expect(query.get('a')).toBe('b=c');
    expect(query.get('d')).toBe('x y&');
    expect(query.get('RAW')).toBeUndefined();
    expect(query.text('nothing')).toBe('');
  });

  test.each(['%zz', 'a=%', 'a=1&%4', 'b%g0=1'])('%s is malformed', (raw) => {
    expect(() => new QueryString(raw)).toThrow(QuerySyntaxError);
  });

  test('escapes that are no UTF-8 are replaced', () => {
    expect(new QueryString('note=a%ffb').get('note')).toBe('a\ufffdb');
  });

  test('encode sorts by key', () => {
    expect(new QueryString('cas=0&acquire=a b*').encode()).toBe('acquire=a+b%2A&cas=0');
  });
});

test('tokens do not reach the log', () => {
  expect(maskTokens('a=1&token=secret&t%6Fken=x&token')).toBe('a=1&token=<hidden>&t%6Fken=<hidden>&token');
  expect(maskedUrl('/v1/acl/info/secret?dc=x')).toBe('/v1/acl/info/<hidden>?dc=x');
  expect(maskedUrl('/v1/kv/a')).toBe('/v1/kv/a');
});
