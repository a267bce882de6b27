import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { KvEntry } from '../../../shared/types/v1.ts';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ kvMaxValueSize: 100 });
});

afterAll(() => server.server.close());

const entry = (value: string | null): KvEntry => ({
  LockIndex: 0,
  Key: 'a',
  Flags: 0,
  Value: value,
  CreateIndex: 17,
  ModifyIndex: 17,
});

beforeEach(() => {
  server.backend.answer('KVS.Get', () => [entry('aGVsbG8=')]);
  server.backend.answer('KVS.List', () => [entry('aGVsbG8=')]);
  server.backend.answer('KVS.ListKeys', () => ['a', 'b']);
  server.backend.answer('KVS.Apply', () => true);
});

const META = {
  'x-consul-index': '7',
  'x-consul-knownleader': 'true',
  'x-consul-lastcontact': '0',
};

describe('GET', () => {
  test('one entry, with meta headers but no effective consistency', async () => {
    const answer = await send(server, 'GET', '/v1/kv/dir/a%20b');
    expect(answer.text).toBe(
      '[{"LockIndex":0,"Key":"a","Flags":0,"Value":"aGVsbG8=","CreateIndex":17,"ModifyIndex":17}]',
    );
    expect(answer.headers).toMatchObject({ ...META, 'content-type': 'application/json' });
    expect(answer.headers['x-consul-effective-consistency']).toBeUndefined();
    expect(server.backend.lastCall()).toMatchObject({ endpoint: 'KVS.Get', args: { key: 'dir/a b' } });
  });

  test('raw bytes with a type that is never a page', async () => {
    const text = await send(server, 'GET', '/v1/kv/a?raw=false');
    expect(text.text).toBe('hello');
    expect(text.headers).toMatchObject({
      ...META,
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
    });
    server.backend.answer('KVS.Get', () => [entry('AAECA/3+/4CA')]);
    const binary = await send(server, 'GET', '/v1/kv/a?raw');
    expect(binary.headers['content-type']).toBe('application/octet-stream');
    expect(binary.bytes.toString('base64')).toBe('AAECA/3+/4CA');
    server.backend.answer('KVS.Get', () => [entry(null)]);
    const empty = await send(server, 'GET', '/v1/kv/a?raw');
    expect(empty).toMatchObject({ status: 200, text: '' });
    expect(empty.headers['content-type']).toBeUndefined();
  });

  test.each([
    ['/v1/kv/a', 'KVS.Get'],
    ['/v1/kv/a?raw', 'KVS.Get'],
    ['/v1/kv/a?recurse', 'KVS.List'],
    ['/v1/kv/?recurse', 'KVS.List'],
    ['/v1/kv/a?keys', 'KVS.ListKeys'],
  ])('%s finds nothing', async (path, endpoint) => {
    server.backend.answer(endpoint, () => []);
    const answer = await send(server, 'GET', path);
    expect(answer).toMatchObject({ status: 404, text: '' });
    expect(answer.headers).toMatchObject(META);
    expect(answer.headers['content-type']).toBeUndefined();
  });

  test('all keys of an empty store are an empty list', async () => {
    server.backend.answer('KVS.ListKeys', () => []);
    expect(await send(server, 'GET', '/v1/kv/?keys')).toMatchObject({ status: 200, text: '[]' });
  });

  test.each([
    ['?keys&recurse&raw', 'KVS.ListKeys', { prefix: 'p', separator: '' }],
    ['?keys&separator=/&seperator=x', 'KVS.ListKeys', { prefix: 'p', separator: '/' }],
    ['?keys&seperator=x', 'KVS.ListKeys', { prefix: 'p', separator: 'x' }],
    ['?recurse=false&raw', 'KVS.List', { prefix: 'p' }],
    ['?RAW', 'KVS.Get', { key: 'p' }],
  ])('%s', async (query, endpoint, args) => {
    await send(server, 'GET', `/v1/kv/p${query}`);
    expect(server.backend.lastCall()).toMatchObject({ endpoint, args });
  });

  test('errors carry no meta headers', async () => {
    server.backend.answer('KVS.Get', () => {
      throw new Error('No cluster leader');
    });
    const answer = await send(server, 'GET', '/v1/kv/a');
    expect(answer).toMatchObject({ status: 500, text: 'No cluster leader' });
    expect(answer.headers['x-consul-index']).toBeUndefined();
  });

  test('malformed read parameters are named before the missing key', async () => {
    expect(await send(server, 'GET', '/v1/kv/')).toMatchObject({ status: 400, text: 'Missing key name' });
    expect(await send(server, 'GET', '/v1/kv/?index=x')).toMatchObject({ text: 'Invalid index' });
  });
});

describe('PUT', () => {
  test.each([
    ['', { verb: 'set', flags: 0, index: 0, session: '' }],
    ['?flags=42&flags=1', { verb: 'set', flags: 42 }],
    ['?flags=18446744073709551615', { verb: 'set', flags: 18446744073709551615n }],
    ['?cas=0', { verb: 'cas', index: 0 }],
    ['?cas=17&flags=1', { verb: 'cas', index: 17, flags: 1 }],
    ['?acquire=s', { verb: 'lock', session: 's' }],
    ['?acquire=', { verb: 'lock', session: '' }],
    ['?release=s', { verb: 'unlock', session: 's' }],
  ])('%s', async (query, args) => {
    const answer = await send(server, 'PUT', `/v1/kv/k${query}`, { body: 'value' });
    expect(answer).toMatchObject({ status: 200, text: 'true' });
    expect(server.backend.lastCall().args).toMatchObject({ key: 'k', ...args });
  });

  test('the value is the body as it came', async () => {
    const body = Uint8Array.from({ length: 100 }, (_, i) => i * 2);
    await send(server, 'PUT', '/v1/kv/k', { body });
    expect(server.backend.lastCall().args).toMatchObject({ value: Buffer.from(body) });
    await send(server, 'PUT', '/v1/kv/k', { body: ['in ', 'two pieces'] });
    expect(server.backend.lastCall().args).toMatchObject({ value: Buffer.from('in two pieces') });
    await send(server, 'PUT', '/v1/kv/k');
    expect(server.backend.lastCall().args).toMatchObject({ value: new Uint8Array(0) });
  });

  test('a lost cas is false, not an error', async () => {
    server.backend.answer('KVS.Apply', () => false);
    expect(await send(server, 'PUT', '/v1/kv/k?cas=1')).toMatchObject({ status: 200, text: 'false' });
  });

  test.each([
    ['/v1/kv/x?cas=0&acquire=s', 400, 'Conflicting flags: acquire=s&cas=0'],
    ['/v1/kv/x?release=b&acquire=a', 400, 'Conflicting flags: acquire=a&release=b'],
    ['/v1/kv/', 400, 'Missing key name'],
    ['/v1/kv/x?flags=abc', 500, 'strconv.ParseUint: parsing "abc": invalid syntax'],
    ['/v1/kv/x?flags=', 500, 'strconv.ParseUint: parsing "": invalid syntax'],
    ['/v1/kv/x?cas=-1', 500, 'strconv.ParseUint: parsing "-1": invalid syntax'],
    [
      '/v1/kv/x?cas=18446744073709551616',
      500,
      'strconv.ParseUint: parsing "18446744073709551616": value out of range',
    ],
    [
      '/v1/kv/x?ns=a',
      400,
      'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature',
    ],
  ])('%s', async (path, status, text) => {
    const before = server.backend.calls.length;
    expect(await send(server, 'PUT', path, { body: 'v' })).toMatchObject({ status, text });
    expect(server.backend.calls.length).toBe(before);
  });

  const SEE = 'See https://www.consul.io/docs/agent/options.html#kv_max_value_size.';

  test('a value above the limit', async () => {
    const announced = await send(server, 'PUT', '/v1/kv/k', { body: 'x'.repeat(101) });
    expect(announced).toMatchObject({
      status: 413,
      text: `Request body(101 bytes) too large, max size: 100 bytes. ${SEE}`,
    });
    expect(announced.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      connection: 'close',
    });
    const chunked = await send(server, 'PUT', '/v1/kv/k', { body: ['x'.repeat(60), 'x'.repeat(41)] });
    expect(chunked).toMatchObject({
      status: 413,
      text: `Request body too large, max size: 100 bytes. ${SEE}`,
    });
  });
});

describe('DELETE', () => {
  test.each([
    ['/v1/kv/k', { verb: 'delete', key: 'k' }],
    ['/v1/kv/k?cas=0', { verb: 'delete-cas', key: 'k', index: 0 }],
    ['/v1/kv/k?recurse=1', { verb: 'delete-tree', key: 'k' }],
    ['/v1/kv/?recurse', { verb: 'delete-tree', key: '' }],
  ])('%s', async (path, args) => {
    expect(await send(server, 'DELETE', path)).toMatchObject({ status: 200, text: 'true' });
    expect(server.backend.lastCall().args).toMatchObject(args);
  });

  test.each([
    ['/v1/kv/x?recurse&cas=1', 400, 'Conflicting flags: cas=1&recurse='],
    ['/v1/kv/', 400, 'Missing key name'],
    ['/v1/kv/x?cas=abc', 500, 'strconv.ParseUint: parsing "abc": invalid syntax'],
  ])('%s', async (path, status, text) => {
    expect(await send(server, 'DELETE', path)).toMatchObject({ status, text });
  });
});
