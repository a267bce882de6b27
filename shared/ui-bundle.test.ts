import { expect, test } from 'vitest';
import { assembleUi, isUnchanged, missingUi, UI_FILE_TYPES } from './ui-bundle.ts';

const page = '<!doctype html><base href="/ui/"><script src="app.js"></script>';
const read = (name: string) => new TextEncoder().encode(name === 'index.html' ? page : name);
const text = (body: Uint8Array | undefined) => new TextDecoder().decode(body);

test('a complete bundle: every file with its type and a tag of its content', () => {
  const files = assembleUi(read, '/ui/');
  for (const [name, contentType] of Object.entries(UI_FILE_TYPES))
    expect(files?.(name)).toMatchObject({ contentType });
  expect(files?.('app.js')?.etag).toMatch(/^"[\w-]+"$/);
  expect(files?.('app.js')?.etag).not.toBe(files?.('app.css')?.etag);
  expect(files?.('../package.json')).toBeUndefined();
  expect(files?.('constructor')).toBeUndefined();
});

test('the page knows where it is served, whatever the path is', () => {
  expect(text(assembleUi(read, '/consul/ui/')?.('index.html')?.body)).toContain('<base href="/consul/ui/">');
  expect(text(assembleUi(read, '/"><b>$&/')?.('index.html')?.body)).toContain(
    '<base href="/%22%3E%3Cb%3E$&amp;/">',
  );
});

test('an incomplete bundle is none; in its place there is a page that says so', () => {
  expect(assembleUi((name) => (name === 'app.js' ? undefined : read(name)), '/ui/')).toBeUndefined();
  expect(text(missingUi()('index.html')?.body)).toContain('npm run build');
  expect(missingUi()('app.js')).toBeUndefined();
});

test.each([
  [undefined, false],
  ['', false],
  ['"b"', false],
  ['"a"', true],
  ['"x", W/"a"', true],
  ['*', true],
])('If-None-Match %s', (header, expected) => {
  expect(isUnchanged(header, '"a"')).toBe(expected);
});
