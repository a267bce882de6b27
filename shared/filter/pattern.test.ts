import { describe, expect, it } from 'vitest';
import { randomInt } from '../env.ts';
import { SeededRandom } from '../simulated-env.ts';
import { compilePattern } from './pattern.ts';

describe('compilePattern', () => {
  it.each([
    ['^[ab]$', ['a', 'b'], ['c', 'ab', '']],
    ['-c$', ['x-c'], ['-cx']],
    ['a|c', ['a', 'xc'], ['b']],
    ['plain', ['a plain word'], ['PLAIN']],
    ['(?i)web', ['WEB', 'a web'], ['we']],
    ['(?i:w)eb', ['Web'], ['wEB']],
    ['a(?i)b|c', ['aB', 'C'], ['AB']],
    ['(?P<name>a)b', ['ab'], ['b']],
    ['(?s)a.b', ['a\nb'], ['ab']],
    ['a.b', ['a-b', 'a😀b'], ['a\nb']],
    ['(?m)^b$', ['a\nb\nc'], ['ab']],
    ['\\Ab\\z', ['b'], ['a\nb', 'b\n']],
    ['\\bweb\\b', ['a web b', 'web'], ['webs']],
    ['\\d{2,3}x', ['12x', '1234x'], ['1x']],
    ['^a{2}$', ['aa'], ['a', 'aaa']],
    ['a{,2}', ['a{,2}'], ['aa']],
    ['x{1', ['x{1'], ['x']],
    ['^\\w+@\\S+\\.\\D$', ['me@x.y'], ['me@x.1']],
    ['[[:alpha:]_-]+!', ['a_-!'], ['1!']],
    ['^[^\\d\\s]$', ['a'], ['1', ' ']],
    ['[]a]', [']', 'a'], ['b']],
    ['[a-]', ['-'], ['b']],
    ['\\x41\\x{1F600}\\n', ['A😀\n'], ['A']],
    ['()*', [''], []],
    ['(a*)*b', ['aaab', 'b'], ['aaa']],
    ['(((){1000}){1000}){1000}x', ['x'], ['y']],
    ['', ['', 'x'], []],
  ])('%j', (pattern, matching, others) => {
    const matches = compilePattern(pattern);
    expect(matching.filter((text) => !matches(text))).toEqual([]);
    expect(others.filter((text) => matches(text))).toEqual([]);
  });

  it.each([
    ['[', 'missing closing ]: `[`'],
    ['a[b', 'missing closing ]: `[b`'],
    ['[a\\', 'missing closing ]: `[a\\`'],
    ['(', 'missing closing ): `(`'],
    ['a)', 'unexpected ): `a)`'],
    ['*a', 'missing argument to repetition operator: `*`'],
    ['a**', 'invalid nested repetition operator: `**`'],
    ['a\\', 'trailing backslash at end of expression: ``'],
    ['\\y', 'invalid escape sequence: `\\y`'],
    ['[z-a]', 'invalid character class range: `z-a`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['a{2,1}', 'invalid repeat count: `{2,1}`'],
    ['(?<=a)b', 'invalid or unsupported Perl syntax: `(?<=`'],
    ['(a{1000}){1000}', 'expression too large: `(a{1000}){1000}`'],
    [`${'('.repeat(300)}${')'.repeat(300)}`, 'expression nests too deeply'],
  ])('refuses %j: %s', (pattern, problem) => {
    expect(() => compilePattern(pattern)).toThrow(problem);
  });

  it('takes linear time where backtracking takes exponential time', () => {
    expect(compilePattern('^(a+)+$')(`${'a'.repeat(5000)}b`)).toBe(false);
    expect(compilePattern('(a|aa)*c')('a'.repeat(5000))).toBe(false);
  });

  it.each([1, 2, 3])('agrees with the language on random patterns, seed %i', (seed) => {
    const random = new SeededRandom(seed);
    const pick = (items: readonly string[]): string => items[randomInt(random, items.length)] as string;
    const pattern = (depth: number): string => {
      if (depth === 0) return pick(['a', 'b', '.', '[ab]', '[^a]', '\\w', '\\b', '^', '$', '\\n']);
      const [x, y] = [pattern(depth - 1), pattern(depth - 1)];
      return pick([
        `${x}${y}`,
        `(?:${x}|${y})`,
        `(?:${x})*`,
        `(?:${x})+${y}`,
        `(?:${x})?`,
        `(?:${x}){1,2}`,
        x,
      ]);
    };
    for (let i = 0; i < 400; i++) {
      const source = pattern(3);
      const [ours, theirs] = [compilePattern(source), new RegExp(source)];
      for (let j = 0; j < 8; j++) {
        const text = Array.from({ length: randomInt(random, 7) }, () => pick(['a', 'b', ' ', '\n'])).join('');
        expect([source, text, ours(text)]).toEqual([source, text, theirs.test(text)]);
      }
    }
  });
});
