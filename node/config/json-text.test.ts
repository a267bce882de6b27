import { expect, test } from 'vitest';
import { parseJsonText } from './json-text.ts';

test('what is well formed comes back as a value', () => {
  expect(parseJsonText(' {"a": [1, "x", null, true]} ')).toEqual({ a: [1, 'x', null, true] });
});

test.each([
  ['', 'unexpected end of JSON input'],
  ['{"a": ', 'unexpected end of JSON input'],
  ['{"a": 1,}', "invalid character '}' looking for beginning of object key string"],
  ['{a: 1}', "invalid character 'a' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a": 1 "b": 2}', `invalid character '"' after object key:value pair`],
  ['[1 2]', "invalid character '2' after array element"],
  ['{} x', "invalid character 'x' after top-level value"],
  ['// no comments', "invalid character '/' looking for beginning of value"],
  ['tru', 'unexpected end of JSON input'],
  ['trie', "invalid character 'i' in literal true (expecting 'u')"],
  ['"a\nb"', String.raw`invalid character '\n' in string literal`],
  [String.raw`"\x"`, "invalid character 'x' in string escape code"],
  [String.raw`"\u00g0"`, String.raw`invalid character 'g' in \u hexadecimal character escape`],
  ['-x', "invalid character 'x' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ["'a'", String.raw`invalid character '\'' looking for beginning of value`],
])('%j: %s', (text, message) => {
  expect(() => parseJsonText(text)).toThrow(message);
});

test('deep nesting ends in an error, not in a crash', () => {
  expect(() => parseJsonText('['.repeat(1_000_000))).toThrow('exceeded max depth');
});
