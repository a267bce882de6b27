import { describe, expect, it } from 'vitest';
import { compileGroups } from './pattern-groups.ts';

describe('the groups of a pattern', () => {
  it.each([
    ['^(.*?)-([^-]+)$', 'geo-db-master', ['geo-db-master', 'geo-db', 'master']],
    ['^(.*)-([^-]+)$', 'a-b-c', ['a-b-c', 'a-b', 'c']],
    ['(a+?)(a*)', 'aaa', ['aaa', 'a', 'aa']],
    ['(a|ab)(c|bcd)(d*)', 'abcd', ['abcd', 'a', 'bcd', '']],
    ['(x)?(y)', 'zy', ['y', '', 'y']],
    ['(?:no)(yes)', 'noyes', ['noyes', 'yes']],
    ['(?P<first>.)(?i)(B)', 'xb', ['xb', 'x', 'b']],
    ['(a){2}', 'aaa', ['aa', 'a']],
    ['(a){1,3}?b', 'aaab', ['aaab', 'a']],
    ['b+', 'aabbb', ['bbb']],
    ['', 'x', ['']],
    ['(\\bb)', 'ab b', ['b', 'b']],
    ['(😀.)', 'a😀b', ['😀b', '😀b']],
  ])('%s in %s', (pattern, text, expected) => {
    expect(compileGroups(pattern)(text)).toEqual(expected);
  });

  it('are those of JavaScript where both mean the same', () => {
    const patterns = ['(a|b)*c', '(a*)(b*)', 'a(b?)(b)?', '(?:(a)|b)+', '(a|ab|abc)(c?)', '((a+)|b+?)(.*)'];
    const texts = ['', 'c', 'abc', 'aabbc', 'bba', 'abab', 'ccab', 'aaabbbccc'];
    for (const pattern of patterns) {
      for (const text of texts) {
        // JavaScript forgets groups of earlier rounds of a repetition; Go keeps them.
        if (pattern.startsWith('(?:(a)')) continue;
        const found = new RegExp(pattern).exec(text);
        const expected = found === null ? undefined : [...found].map((group) => group ?? '');
        expect([pattern, text, compileGroups(pattern)(text)]).toEqual([pattern, text, expected]);
      }
    }
  });

  it('are found in time that does not explode', () => {
    expect(compileGroups('^(a+)+$')(`${'a'.repeat(5000)}b`)).toBeUndefined();
  });

  it('are not looked for in a pattern that Go refuses', () => {
    expect(() => compileGroups('(')).toThrow('missing closing ): `(`');
    expect(compileGroups('(?:(?:(?:){1000}){1000}){1000}x')('x')).toEqual(['x']);
    expect(() => compileGroups('((a{100}){100}){10}')).toThrow('expression too large');
  });
});
