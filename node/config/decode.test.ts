import { expect, test } from 'vitest';
import { ConfigError } from './config-error.ts';
import { decodeTree, listErrors, mergeTrees } from './decode.ts';
import { CONFIG_SCHEMA } from './schema.ts';

function refusal(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'nothing';
}

const json = (value: unknown) => decodeTree(value, CONFIG_SCHEMA, 'json');
const hcl = (value: unknown) => decodeTree(value, CONFIG_SCHEMA, 'hcl');

test('keys are found without regard to case; keys of maps keep theirs', () => {
  expect(json({ Node_Name: 'n', node_meta: { Rack: 'a' }, PORTS: { HTTP: 1 } })).toEqual({
    node_name: 'n',
    node_meta: { Rack: 'a' },
    ports: { http: 1 },
  });
});

test.each([
  [{ foo: 1 }, '1 error occurred:\n\t* invalid config key foo\n\n'],
  [
    { ports: { foo: 1 }, services: [{ bar: 1 }] },
    '2 errors occurred:\n\t* invalid config key ports.foo\n\t* invalid config key services[0].bar\n\n',
  ],
  [
    { ports: { http: '8500' } },
    "1 error(s) decoding:\n\n* 'ports.http' expected type 'int', got unconvertible type 'string'",
  ],
  [
    { server: 'true', retry_join: 'a' },
    "2 error(s) decoding:\n\n* 'server' expected type 'bool', got unconvertible type 'string'\n* 'retry_join': source data must be an array or slice, got string",
  ],
  [{ service: [{ name: 'a' }] }, "1 error(s) decoding:\n\n* 'service' expected a map, got 'slice'"],
  [
    { services: { name: 'a' } },
    "1 error(s) decoding:\n\n* 'services': source data must be an array or slice, got map",
  ],
  [[], 'json: cannot unmarshal array into Go value of type map[string]interface {}'],
])('%j is refused', (value, text) => {
  expect(refusal(() => json(value))).toBe(text);
});

test('in HCL a single block is a list of one', () => {
  expect(hcl({ services: { name: 'a' }, watches: { type: 'key' } })).toEqual({
    services: [{ name: 'a' }],
    watches: [{ type: 'key' }],
  });
  expect(() => hcl({ retry_join: { a: 1 } })).toThrow("'retry_join': source data must be an array or slice");
});

test('null is as if it was not there', () => {
  expect(mergeTrees({ node_name: 'a' }, json({ node_name: null }))).toEqual({ node_name: 'a' });
});

test('later scalars replace, lists append, maps and blocks merge', () => {
  const first = { a: 1, list: ['x'], block: { p: 1, q: 1 } };
  const second = { a: 2, list: ['y'], block: { q: 2 } };
  expect(mergeTrees(first, second)).toEqual({ a: 2, list: ['x', 'y'], block: { p: 1, q: 2 } });
  expect(first).toEqual({ a: 1, list: ['x'], block: { p: 1, q: 1 } });
});

test('the single service and check of each file are gathered', () => {
  const merged = mergeTrees(
    { service: { name: 'a' }, check: { name: 'c' } },
    { service: { name: 'b' }, services: [{ name: 'd' }] },
  );
  expect(merged).toEqual({
    services: [{ name: 'a' }, { name: 'd' }, { name: 'b' }],
    checks: [{ name: 'c' }],
  });
});

test('several problems are counted', () => {
  expect(listErrors(['x', 'y'])).toBe('2 errors occurred:\n\t* x\n\t* y\n\n');
});
