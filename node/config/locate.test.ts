import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { buildConfig, type HostFacts } from './build.ts';
import { locationLines } from './config-error.ts';
import { loadConfig, parseAgentFlags } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'locate-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HOST = { hostname: 'h', interfaces: {} } as HostFacts;

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The places of the error, with the folder cut off. */
function places(...args: string[]): string {
  try {
    buildConfig(loadConfig(parseAgentFlags(args)), HOST);
  } catch (error) {
    return locationLines(error).replaceAll(`${folder}/`, '');
  }
  return 'no error';
}

test('unknown keys and wrong types in JSON', () => {
  const path = file(
    'a.json',
    '{\n  "node_name": "x",\n  "ports": {\n    "http": "8500",\n    "Nope": 1\n  },\n  "services": [\n    {"name": "a"},\n    {"name": "b", "port": "80"}\n  ]\n}\n',
  );
  expect(places(`-config-file=${path}`)).toBe(
    '    at a.json:4:5: ports.http\n    at a.json:9:19: services[1].port\n',
  );
  const unknown = file('u.json', '{"ports": {"http": 1,\n"Nope": 1}, "node_meta": {"a": "b"}}');
  expect(places(`-config-file=${unknown}`)).toBe('    at u.json:2:1: ports.Nope\n');
});

test('the same in HCL: blocks, labelled blocks, repeated ones, lists', () => {
  const path = file(
    'a.hcl',
    'server = "yes"\n\nports {\n  http = "1"\n}\nservice {\n  name = "a"\n}\n# b\nservice {\n  name = "b"\n  prot = 1\n}\n',
  );
  expect(places(`-config-file=${path}`)).toBe('    at a.hcl:1:1: server\n    at a.hcl:4:3: ports.http\n');
  const unknown = file(
    'u.hcl',
    'service {\n  name = "a"\n}\nservice {\n  name = "b"\n  prot = 1\n  check { intervall = "1s" }\n}\n',
  );
  expect(places(`-config-file=${unknown}`)).toBe(
    '    at u.hcl:6:3: services[1].prot\n    at u.hcl:7:11: services[1].check.intervall\n',
  );
});

test('mistakes in the syntax', () => {
  expect(places(`-config-file=${file('s.json', '{\n  "a": }\n')}`)).toBe('    at s.json:2:8\n');
  expect(places(`-config-file=${file('e.json', '{"a": ')}`)).toBe('    at e.json:1:7\n');
  expect(places(`-config-file=${file('s.hcl', 'a = [1\n')}`)).toBe('    at s.hcl:2:1\n');
});

test('what contradicts after merging: where the key was set last, the flag if it was one', () => {
  const first = file('1.hcl', 'data_dir = "/x"\nretry_interval = "5"\nbind_addr = "127.0.0.1"\n');
  const second = file('2.json', '{\n"retry_interval": "7"}');
  expect(places(`-config-file=${first}`, `-config-file=${second}`)).toBe(
    '    at 2.json:2:1: retry_interval\n',
  );
  const sound = file('3.hcl', 'data_dir = "/x"\nbind_addr = "127.0.0.1"\n');
  expect(places(`-config-file=${sound}`, '-bind=nowhere')).toBe('    at flag -bind: bind_addr\n');
  expect(places(`-config-file=${sound}`, '-hcl=log_level = "loud"')).toBe(
    '    at flag -hcl:1:1: log_level\n',
  );
  expect(places(`-config-file=${sound}`, '-bind=127.0.0.1')).toBe('no error');
});
