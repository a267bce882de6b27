import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { acceptsGzip, gzipBody, gzipStored } from './compression.ts';

test.each([
  [undefined, false],
  ['gzip', true],
  ['deflate', false],
  ['gzip, deflate, br', true],
  ['GZIP', true],
  ['identity', false],
  ['gzip;q=0', false],
  ['deflate, gzip;q=0.5', true],
  ['*', false],
  ['notgzip', false],
])('acceptsGzip(%s)', (header, accepts) => {
  expect(acceptsGzip(header)).toBe(accepts);
});

describe('gzipBody', () => {
  test.each([1, 10, 511, 512, 5000, 100_000])('%i bytes come back', async (length) => {
    const body = Buffer.alloc(length, 'abcdefg');
    expect(gunzipSync(await gzipBody(body)).equals(body)).toBe(true);
  });

  test('text is UTF-8', async () => {
    expect(gunzipSync(await gzipBody('zażółć')).toString()).toBe('zażółć');
  });

  test('a shared body is compressed once', async () => {
    const body = Buffer.alloc(40_000, 'x');
    expect(await gzipBody(body)).toBe(await gzipBody(body));
  });

  test('an empty stored block is valid too', () => {
    expect(gunzipSync(gzipStored(new Uint8Array(0))).length).toBe(0);
  });
});
