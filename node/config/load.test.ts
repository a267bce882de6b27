import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig, parseAgentFlags, readConfigPath } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'load-test-'));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const load = (...args: string[]) => loadConfig(parseAgentFlags(args));

test('scalar flags win over files, files over list flags, fragments over all', () => {
  const a = file(
    'a.json',
    '{"node_name": "from-a", "datacenter": "dc-a", "retry_join": ["a"], "log_level": "warn"}',
  );
  const b = file('b.hcl', 'node_name = "from-b"\nretry_join = ["b"]');
  const { tree } = load(
    '-node=from-flag',
    '-retry-join=flag',
    `-config-file=${a}`,
    `-config-file=${b}`,
    '-hcl=log_level = "trace"',
    '-node-meta=rack:1',
    '-node-meta=bare',
    '-http-port=1',
  );
  expect(tree).toEqual({
    node_name: 'from-flag',
    datacenter: 'dc-a',
    retry_join: ['flag', 'a', 'b'],
    log_level: 'trace',
    node_meta: { rack: '1', bare: '' },
    ports: { http: 1 },
  });
});

test('directories are read in order of name, without empty and other files', () => {
  const dir = join(folder, 'dir');
  mkdirSync(join(dir, 'deeper.json'), { recursive: true });
  writeFileSync(join(dir, '2.json'), '{"node_name": "second"}');
  writeFileSync(join(dir, '1.hcl'), 'node_name = "first"\ndatacenter = "one"');
  writeFileSync(join(dir, '0.json'), '');
  writeFileSync(join(dir, 'notes.txt'), 'x');
  const { tree, warnings } = load(`-config-dir=${dir}`);
  expect(tree).toEqual({ node_name: 'second', datacenter: 'one' });
  expect(warnings).toEqual([
    `skipping file ${dir}/notes.txt, extension must be .hcl or .json, or config format must be set`,
  ]);
});

test('one format can be said for all files', () => {
  const path = file('config', '{"node_name": "n"}');
  expect(load('-config-format=json', `-config-file=${path}`).tree).toEqual({ node_name: 'n' });
  expect(() => load('-config-format=yaml')).toThrow("-config-format must be either 'hcl' or 'json'");
});

test('repeated service blocks of an HCL file mean what they say', () => {
  const path = file(
    'services.hcl',
    'service { name = "a" }\nservice { name = "b" }\nservices { name = "c" }',
  );
  expect(load(`-config-file=${path}`).tree).toEqual({
    services: [{ name: 'c' }, { name: 'a' }, { name: 'b' }],
  });
});

test('errors name the file', () => {
  const missing = join(folder, 'missing.json');
  expect(() => readConfigPath(missing, undefined, [])).toThrow(
    `config: Open failed on ${missing}. open ${missing}: no such file or directory`,
  );
  const bad = file('bad.json', '{"a": }');
  expect(() => load(`-config-file=${bad}`)).toThrow(
    `failed to parse ${bad}: invalid character '}' looking for beginning of value`,
  );
  const unknown = file('unknown.hcl', 'foo = 1');
  expect(() => load(`-config-file=${unknown}`)).toThrow(
    `failed to parse ${unknown}: 1 error occurred:\n\t* invalid config key foo\n\n`,
  );
  expect(() => load('foo')).toThrow('Unexpected extra arguments: [foo]');
});
