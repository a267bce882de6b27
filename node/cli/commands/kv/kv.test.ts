import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeAgent, type Route, startFakeAgent } from '../../testing/fake-agent.ts';
import { runCli } from '../../testing/run-cli.ts';

let agent: FakeAgent | undefined;
beforeEach(() => {
  agent = undefined;
});
afterEach(() => agent?.close());

async function kv(args: readonly string[], routes: Readonly<Record<string, Route>> = {}, stdin = '') {
  await agent?.close();
  agent = await startFakeAgent(routes);
  return runCli(['kv', ...args], { address: agent.address, stdin });
}

const failed = (err: string) => ({ code: 1, out: '', err });
const done = (out: string) => ({ code: 0, out, err: '' });
const ENTRY =
  '[{"LockIndex":0,"Key":"a/b","Flags":18446744073709551615,"Value":"aGk=","CreateIndex":13,"ModifyIndex":14}]';
const found = { 'GET /v1/kv/*': { body: ENTRY } };

test('get prints the value, its metadata, or nothing but an error', async () => {
  expect(await kv(['get', '/a/b'], found)).toEqual(done('hi\n'));
  expect(await kv(['get', '-base64', 'a/b'], found)).toEqual(done('aGk=\n'));
  expect(await kv(['get', '-detailed', 'a/b'], found)).toEqual(
    done(`CreateIndex      13
Flags            18446744073709551615
Key              a/b
LockIndex        0
ModifyIndex      14
Session          -
Value            hi
`),
  );
  expect(await kv(['get', 'a/b'])).toEqual(failed('Error! No key exists at: a/b\n'));
  expect(await kv(['get', 'a/b'], { 'GET /v1/kv/*': { status: 403, body: 'Permission denied' } })).toEqual(
    failed('Error querying Consul agent: Unexpected response code: 403\n'),
  );
  expect(await kv(['get'])).toEqual(failed('Error! Missing KEY argument\n'));
  expect(await kv(['get', 'a', 'b'])).toEqual(failed('Too many arguments (expected 1, got 2)\n'));
});

test('get -recurse and -keys list', async () => {
  expect(await kv(['get', '-recurse', 'a'], found)).toEqual(done('a/b:hi\n'));
  expect(agent?.requests[0]?.query.has('recurse')).toBe(true);
  expect(await kv(['get', '-keys', '-recurse', 'a'], { 'GET /v1/kv/*': { body: ['a/b', 'a/c/'] } })).toEqual(
    done('a/b\na/c/\n'),
  );
  expect(agent?.requests[0]?.query.get('separator')).toBe('/');
  expect(await kv(['get', '-keys', '-separator='])).toEqual(done(''));
  expect(agent?.requests[0]?.query.has('separator')).toBe(false);
});

test('put takes data as text, file or standard input', async () => {
  const routes: Record<string, Route> = { 'PUT /v1/kv/*': { body: 'true' } };
  const file = join(mkdtempSync(join(tmpdir(), 'kv-test-')), 'data');
  writeFileSync(file, 'from file');
  const sent = () => agent?.requests[0]?.body.toString();
  expect(await kv(['put', '-flags=42', 'a', 'text'], routes)).toEqual(done('Success! Data written to: a\n'));
  expect([sent(), agent?.requests[0]?.query.get('flags')]).toEqual(['text', '42']);
  await kv(['put', 'a', `@${file}`], routes);
  expect(sent()).toBe('from file');
  await kv(['put', 'a', '-'], routes, 'from input');
  expect(sent()).toBe('from input');
  await kv(['put', 'a'], routes);
  expect(sent()).toBe('');
  await kv(['put', '-base64', 'a', 'aGk='], routes);
  expect(sent()).toBe('hi');
  expect(await kv(['put', 'a', '@/no/such'], routes)).toEqual(
    failed('Error! Failed to read file: open /no/such: no such file or directory\n'),
  );
});

test.each([
  ['aGk=***', 4, 'hi'],
  ['***', 0, ''],
  ['aGVs\nbG8h?', 9, 'hello!'],
  ['aGVsb', 4, 'hel'],
])('put complains of bad base64 (%j) and writes what comes before it', async (data, at, written) => {
  expect(await kv(['put', '-base64', 'a', data], { 'PUT /v1/kv/*': { body: 'true' } })).toEqual({
    code: 0,
    out: 'Success! Data written to: a\n',
    err: `Error! Cannot base 64 decode data: illegal base64 data at input byte ${at}\n`,
  });
  expect(agent?.requests[0]?.body.toString()).toBe(written);
});

test('put with a condition says whether it held', async () => {
  const held: Record<string, Route> = { 'PUT /v1/kv/*': { body: 'true' } };
  const lost: Record<string, Route> = { 'PUT /v1/kv/*': { body: 'false' } };
  const cas = ['put', '-cas', '-modify-index=5', 'a', 'b'];
  expect(await kv(cas, held)).toEqual(done('Success! Data written to: a\n'));
  expect(agent?.requests[0]?.query.get('cas')).toBe('5');
  expect(await kv(cas, lost)).toEqual(failed('Error! Did not write to a: CAS failed\n'));
  const acquire = ['put', '-acquire', '-session=s', 'a', 'b'];
  expect(await kv(acquire, held)).toEqual(done('Success! Lock acquired on: a\n'));
  expect(await kv(acquire, lost)).toEqual(failed('Error! Did not acquire lock\n'));
  const release = ['put', '-release', '-session=s', 'a', 'b'];
  expect(await kv(release, held)).toEqual(done('Success! Lock released on: a\n'));
  expect(await kv(release, lost)).toEqual(failed('Error! Did not release lock\n'));
});

test.each([
  [['put'], 'Error! Missing KEY argument'],
  [['put', 'a', 'b', 'c'], 'Error! Too many arguments (expected 1 or 2, got 3)'],
  [['put', '-cas', 'a', 'b'], 'Must specify -modify-index with -cas!'],
  [['put', '-acquire', 'a'], 'Error! Missing -session (required with -acquire and -release)'],
  [['delete'], 'Error! Missing KEY argument'],
  [['delete', '-cas', 'a'], 'Must specify -modify-index with -cas!'],
  [['delete', '-modify-index=1', 'a'], 'Cannot specify -modify-index without -cas!'],
  [['delete', '-cas', '-recurse', '-modify-index=1', 'a'], 'Cannot specify both -cas and -recurse!'],
  [['import'], 'Error! Missing DATA argument'],
  [['import', 'a', 'b'], 'Error! Too many arguments (expected 1, got 2)'],
  [['import', '{'], 'Cannot unmarshal data: unexpected end of JSON input'],
  [
    ['import', '{}'],
    'Cannot unmarshal data: json: cannot unmarshal object into Go value of type []*impexp.Entry',
  ],
  [
    ['import', '[1]'],
    'Cannot unmarshal data: json: cannot unmarshal number into Go value of type impexp.Entry',
  ],
  [
    ['import', '[{"key":1}]'],
    'Cannot unmarshal data: json: cannot unmarshal number into Go struct field Entry.key of type string',
  ],
  [
    ['import', '[{"key":"a","flags":-1}]'],
    'Cannot unmarshal data: json: cannot unmarshal number -1 into Go struct field Entry.flags of type uint64',
  ],
  [
    ['import', '[{"key":"a","value":"@@"}]'],
    'Error base 64 decoding value for key a: illegal base64 data at input byte 0',
  ],
])('kv %j is refused: %s', async (args, text) => {
  expect(await kv(args)).toEqual(failed(`${text}\n`));
});

test('server errors name the key where Consul does', async () => {
  const routes: Record<string, Route> = {
    'PUT /v1/kv/*': { status: 500, body: 'No cluster leader' },
    'DELETE /v1/kv/*': { status: 500, body: 'No cluster leader' },
  };
  const text = 'Unexpected response code: 500 (No cluster leader)';
  const errorOf = async (...args: string[]) => (await kv(args, routes)).err;
  expect(await errorOf('put', 'a', 'b')).toBe(`Error! Failed writing data: ${text}\n`);
  expect(await errorOf('put', '-cas', '-modify-index=1', 'a')).toBe(`Error! Did not write to a: ${text}\n`);
  expect(await errorOf('put', '-release', '-session=s', 'a')).toBe('Error! Failed writing data: a\n');
  expect(await errorOf('delete', 'a')).toBe(`Error deleting key a: ${text}\n`);
  expect(await errorOf('delete', '-recurse', 'a')).toBe(`Error! Did not delete prefix a: ${text}\n`);
});

test('delete removes a key, a prefix, or a key at an index', async () => {
  const routes: Record<string, Route> = { 'DELETE /v1/kv/*': { body: 'true' } };
  expect(await kv(['delete', '/a'], routes)).toEqual(done('Success! Deleted key: a\n'));
  expect(await kv(['delete', '-recurse', 'a/'], routes)).toEqual(
    done('Success! Deleted keys with prefix: a/\n'),
  );
  expect(
    await kv(['delete', '-cas', '-modify-index=3', 'a'], { 'DELETE /v1/kv/*': { body: 'false' } }),
  ).toEqual(failed('Error! Did not delete key a: CAS failed\n'));
});

test('export and import are each other’s reverse', async () => {
  const exported = await kv(['export', 'a'], found);
  expect(exported.out).toBe(
    '[\n\t{\n\t\t"key": "a/b",\n\t\t"flags": 18446744073709551615,\n\t\t"value": "aGk="\n\t}\n]\n',
  );
  expect((await kv(['export', 'none'])).out).toBe('[]\n');
  const imported = await kv(['import', '-'], { 'PUT /v1/kv/*': { body: 'true' } }, exported.out);
  expect(imported).toEqual(done('Imported: a/b\n'));
  const sent = agent?.requests[0];
  expect([sent?.path, sent?.query.get('flags'), sent?.body.toString()]).toEqual([
    '/v1/kv/a/b',
    '18446744073709551615',
    'hi',
  ]);
});

test('import stops at the first failure', async () => {
  let writes = 0;
  const routes: Record<string, Route> = {
    'PUT /v1/kv/*': () => (++writes === 2 ? { status: 500, body: 'no' } : { body: 'true' }),
  };
  const item = (key: string) => ({ key, flags: 0, value: '' });
  const run = await kv(['import', JSON.stringify([item('a'), item('b'), item('c')])], routes);
  expect(run).toEqual({
    code: 1,
    out: 'Imported: a\n',
    err: 'Error! Failed writing data for key b: Unexpected response code: 500 (no)\n',
  });
});

test('import takes names in any case, and leaves out what is null', async () => {
  const run = await kv(['import', '[{"Key":"a","FLAGS":null,"other":1}]'], {
    'PUT /v1/kv/*': { body: 'true' },
  });
  expect(run).toEqual(done('Imported: a\n'));
  expect(await kv(['import', 'null'])).toEqual(done(''));
});

test('bad numbers come with the list of flags', async () => {
  for (const args of [
    ['put', '-flags=-1', 'a'],
    ['delete', '-cas', '-modify-index=x', 'a'],
  ]) {
    const run = await kv(args);
    expect(run.code).toBe(1);
    expect(run.err).toMatch(/^invalid value "(-1|x)" for flag -(flags|modify-index): parse error\n {2}-/);
  }
});

test('values that are no text come out byte for byte', async () => {
  const value = Buffer.from([0xff, 0x00, 0x80, 0x0a]);
  agent = await startFakeAgent({
    'GET /v1/kv/*': {
      body: [
        { LockIndex: 0, Key: 'b', Flags: 0, Value: value.toString('base64'), CreateIndex: 1, ModifyIndex: 1 },
      ],
    },
  });
  let written = Buffer.alloc(0);
  const onBytes = (bytes: Uint8Array) => {
    written = Buffer.from(bytes);
  };
  await runCli(['kv', 'get', 'b'], { address: agent.address, onBytes });
  expect(written).toEqual(Buffer.concat([value, Buffer.from('\n')]));
  await runCli(['kv', 'get', '-recurse', 'b'], { address: agent.address, onBytes });
  expect(written).toEqual(Buffer.concat([Buffer.from('b:'), value, Buffer.from('\n')]));
});
