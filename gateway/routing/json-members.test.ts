import { describe, expect, test } from 'vitest';
import { firstValue, goField, joinMembers, splitMembers } from './json-members.ts';

describe('splitMembers', () => {
  test('keeps values as they were written', () => {
    const text = '{"b":{"Flags":18446744073709551615,"x":"}\\"]"},"a":[1,{"c":null}],"n":-1.5e-7}';
    expect(splitMembers(text)?.members).toEqual([
      { key: 'b', raw: '{"Flags":18446744073709551615,"x":"}\\"]"}' },
      { key: 'a', raw: '[1,{"c":null}]' },
      { key: 'n', raw: '-1.5e-7' },
    ]);
  });

  test('tells indented from compact, and both survive a round trip', () => {
    for (const value of [{}, [], { a: 1, b: { c: [] } }, [{ a: 1 }, { b: 2 }]])
      for (const text of [JSON.stringify(value), `${JSON.stringify(value, null, 4)}\n`]) {
        const members = splitMembers(text);
        expect(members && joinMembers(members)).toBe(text);
      }
  });

  test.each(['', 'null', '"x"', '{', '{"a"', '{"a":', '{"a" 1}', '[1,2', '{1:2}'])('refuses %j', (text) => {
    expect(splitMembers(text)).toBeUndefined();
  });
});

test('keys come in the order of their bytes, escaped as Go does', () => {
  const members = ['\u{1f600}', '\uffff', 'a', 'B', '<'].map((key) => ({ key, raw: '1' }));
  expect(joinMembers({ shape: 'object', members, isPretty: false })).toBe(
    '{"\\u003c":1,"B":1,"a":1,"\uffff":1,"\u{1f600}":1}',
  );
});

test('the first value of a body counts, the rest is ignored', () => {
  expect(firstValue(' {"a":1} trailing')).toEqual({ a: 1 });
  expect(firstValue('"x" {')).toBe('x');
  expect(firstValue('')).toBeUndefined();
  expect(firstValue('{"a":')).toBeUndefined();
});

test('fields match in any case, the last one counts', () => {
  expect(goField({ id: 'a', ID: 'b', Id: 'c' }, 'ID')).toBe('c');
  expect(goField({ Name: 'a' }, 'ID')).toBeUndefined();
  expect(goField(null, 'ID')).toBeUndefined();
  expect(goField('text', 'length')).toBeUndefined();
});
