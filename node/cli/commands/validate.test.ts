import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runCli } from '../testing/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'validate-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('validate keeps to the letter for scripts and tells people where', async () => {
  const path = join(folder, 'v.json');
  writeFileSync(path, '{"bind_addr": "127.0.0.1",\n "data_dir": "/x", "no_such_key": 1}');
  const text = `Config validation failed: failed to parse ${path}: 1 error occurred:\n\t* invalid config key no_such_key\n\n\n`;
  expect((await runCli(['validate', path])).err).toBe(text);
  expect((await runCli(['validate', '-locations', path])).err).toBe(
    `${text}    at ${path}:2:20: no_such_key\n`,
  );
});
