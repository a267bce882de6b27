import { expect, test } from 'vitest';
import { decodeGoBase64 } from './base64.ts';

const badByte = (text: string) => {
  try {
    return Buffer.from(decodeGoBase64(text)).toString('latin1');
  } catch (error) {
    return Number(/^illegal base64 data at input byte (\d+)$/.exec((error as Error).message)?.[1]);
  }
};

// What Go's encoding/base64 says to each.
test.each([
  ['', ''],
  ['YQ==', 'a'],
  ['YWI=', 'ab'],
  ['YWJj', 'abc'],
  ['YW\nJj\r\n', 'abc'],
  ['YQ=\n=\n', 'a'],
  ['not base64!', 3],
  ['!', 0],
  ['Y', 0],
  ['YQ', 0],
  ['YWJjY', 4],
  ['YQ=', 3],
  ['YQ=x', 2],
  ['=', 0],
  ['Y===', 1],
  ['YQ==YQ==', 4],
  ['YWI=x', 4],
  ['YW\u00e9=', 2],
  ['YW-_', 2],
])('%j', (text, expected) => {
  expect(badByte(text)).toBe(expected);
});
