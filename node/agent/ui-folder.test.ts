import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uiFolder } from './ui-folder.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ui-folder-'));
  mkdirSync(join(folder, 'ui', 'docs'), { recursive: true });
  for (const name of ['ui/index.html', 'ui/app.JS', 'ui/data', 'ui/docs/index.html', 'secret'])
    writeFileSync(join(folder, name), name);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['', 'ui/index.html', 'text/html; charset=utf-8'],
  ['index.html', 'ui/index.html', 'text/html; charset=utf-8'],
  ['app.JS', 'ui/app.JS', 'text/javascript; charset=utf-8'],
  ['data', 'ui/data', 'application/octet-stream'],
  ['docs/', 'ui/docs/index.html', 'text/html; charset=utf-8'],
])('%j is %s', (path, body, contentType) => {
  const asset = uiFolder(join(folder, 'ui'))(path);
  expect([Buffer.from(asset?.body ?? '').toString(), asset?.contentType]).toEqual([body, contentType]);
});

test.each(['other.js', '../secret', 'docs/../../secret', 'a\0b'])('%j is not there', (path) => {
  expect(uiFolder(join(folder, 'ui'))(path)).toBeUndefined();
});

test('a changed file is served as it is now, under another tag', () => {
  const file = uiFolder(join(folder, 'ui'));
  const before = file('data')?.etag;
  writeFileSync(join(folder, 'ui', 'data'), 'something longer');
  expect(Buffer.from(file('data')?.body ?? '').toString()).toBe('something longer');
  expect(file('data')?.etag).not.toBe(before);
});
