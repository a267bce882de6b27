import { describe, expect, test } from 'vitest';
import { isEmptyJson, renderJson } from './json.ts';

describe('renderJson', () => {
  test.each([
    ['html characters', '<a href="x">&', '"\\u003ca href=\\"x\\"\\u003e\\u0026"'],
    ['line separators', 'a\u2028b\u2029', '"a\\u2028b\\u2029"'],
    ['short control characters', '\n\r\t', '"\\n\\r\\t"'],
    ['other control characters', '\b\f\u0001\u001f', '"\\u0008\\u000c\\u0001\\u001f"'],
    ['a backslash before b', '\\b<', '"\\\\b\\u003c"'],
    ['a backslash before a surrogate escape', '\\ud800<', '"\\\\ud800\\u003c"'],
    ['lone surrogates', '\ud800x\udfff', '"\\ufffdx\\ufffd"'],
    ['whole characters', 'ä😀\ufffd', '"ä😀\ufffd"'],
    ['large numbers', { a: 18446744073709551615n, b: [1n, 2] }, '{"a":18446744073709551615,"b":[1,2]}'],
    ['large numbers beside html', { a: 5n, b: '<' }, '{"a":5,"b":"\\u003c"}'],
    ['floats', [8.5e-7, 1e21, 0.1, 100], '[8.5e-7,1e+21,0.1,100]'],
    ['absent keys', { a: undefined, b: 1 }, '{"b":1}'],
    ['nothing', undefined, 'null'],
  ])('%s', (_name, value, text) => {
    expect(renderJson(value, false)).toBe(text);
  });

  test('pretty text has four spaces, closed empty containers and a newline', () => {
    expect(renderJson({ a: [1, {}], b: [] }, true)).toBe(
      '{\n    "a": [\n        1,\n        {}\n    ],\n    "b": []\n}\n',
    );
    expect(renderJson(true, true)).toBe('true\n');
  });

  test('cyclic data is refused', () => {
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    expect(() => renderJson(cyclic, false)).toThrow(TypeError);
  });
});

test('isEmptyJson', () => {
  expect([null, undefined, [], {}].every(isEmptyJson)).toBe(true);
  expect([0, '', false, [0], { a: undefined }].some(isEmptyJson)).toBe(false);
});
