import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger, silentLogger } from '../../shared/log.ts';
import { UI_FILE_TYPES } from '../../shared/ui-bundle.ts';
import { loadUiAssets } from './ui-assets.ts';

let folder: string;
let url: URL;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ui-'));
  url = pathToFileURL(`${folder}/`);
  for (const name of Object.keys(UI_FILE_TYPES))
    writeFileSync(join(folder, name), `<base href="/ui/">${name}`);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const body = (files: ReturnType<typeof loadUiAssets>, name: string) =>
  Buffer.from(files(name)?.body ?? '').toString();

test('the first folder with a whole bundle is taken', () => {
  const files = loadUiAssets('/x/', silentLogger, [new URL('none/', url), url]);
  expect(body(files, 'app.js')).toBe('<base href="/ui/">app.js');
  expect(body(files, 'index.html')).toBe('<base href="/x/">index.html');
});

test('without one the log names the folders and the page says what to do', () => {
  const lines: string[] = [];
  const sink = {
    wants: () => true,
    write: ({ level, message, fields }: { level: string; message: string; fields: object }) =>
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
  };
  const files = loadUiAssets(
    '/ui/',
    createLogger('agent', [sink], () => 0),
    [new URL('none/', url)],
  );
  expect(lines).toEqual([expect.stringMatching(/^WARN The web UI is enabled but not built.*none/)]);
  expect(body(files, 'index.html')).toContain('npm run build');
});
