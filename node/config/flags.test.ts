import { expect, test } from 'vitest';
import { FlagError, type FlagSpec, HelpRequested, parseFlags } from './flags.ts';

const SPECS: readonly FlagSpec[] = [
  { name: 'b', kind: 'bool', usage: '' },
  { name: 'n', kind: 'int', usage: '' },
  { name: 's', kind: 'string', usage: '' },
  { name: 'd', kind: 'duration', usage: '' },
  { name: 'l', kind: 'strings', usage: '' },
  { name: 'u', kind: 'uint', usage: '' },
  { name: 'p', kind: 'pairs', usage: '' },
];
const parse = (...args: string[]) => parseFlags(args, SPECS, (text) => /^\d+s$/.test(text));

test('one dash or two, with or without an equals sign', () => {
  const { values, rest } = parse('-b', '--n=5', '-s', 'text', '--d', '3s', 'word', '-b=false');
  expect([...values]).toEqual([
    ['b', true],
    ['n', 5],
    ['s', 'text'],
    ['d', '3s'],
  ]);
  expect(rest).toEqual(['word', '-b=false']);
});

test('values may be empty, hold equals signs, or begin with a dash', () => {
  expect([...parse('-s=', '-n', '-7').values]).toEqual([
    ['s', ''],
    ['n', -7],
  ]);
  expect(parse('-s=a=b').values.get('s')).toBe('a=b');
  expect(parse('-s', '-b').values.get('s')).toBe('-b');
});

test('a repeated flag keeps all of its values in order, others the last', () => {
  const { values, order } = parse('-l', 'x', '-s=1', '-l=y', '-s=2');
  expect(values.get('l')).toEqual(['x', 'y']);
  expect(values.get('s')).toBe('2');
  expect(order.map(({ name, value }) => `${name}=${value}`)).toEqual(['l=x', 's=1', 'l=y', 's=2']);
});

test('unsigned numbers keep all of their digits, and pairs are repeated', () => {
  const { values } = parse('-u=18446744073709551615', '-p=a=1', '-p', 'b=2=3');
  expect(values.get('u')).toBe('18446744073709551615');
  expect(values.get('p')).toEqual(['a=1', 'b=2=3']);
});

test('two dashes, one dash and a word end the flags', () => {
  expect(parse('-b', '--', '-n').rest).toEqual(['-n']);
  expect(parse('-', '-n').rest).toEqual(['-', '-n']);
  expect(parse('x', '-n').rest).toEqual(['x', '-n']);
});

test.each([
  [['-x'], 'flag provided but not defined: -x'],
  [['-s'], 'flag needs an argument: -s'],
  [['-n=1.5'], 'invalid value "1.5" for flag -n: parse error'],
  [['-n='], 'invalid value "" for flag -n: parse error'],
  [['-n=99999999999999999999'], 'invalid value "99999999999999999999" for flag -n: value out of range'],
  [['-u=-1'], 'invalid value "-1" for flag -u: parse error'],
  [['-u=18446744073709551616'], 'invalid value "18446744073709551616" for flag -u: value out of range'],
  [['-p=novalue'], 'invalid value "novalue" for flag -p: Missing "=" value in argument: novalue'],
  [['-d=5'], 'invalid value "5" for flag -d: parse error'],
  [['-b=maybe'], 'invalid boolean value "maybe" for -b: parse error'],
  [['---b'], 'bad flag syntax: ---b'],
  [['-=x'], 'bad flag syntax: -=x'],
])('%j: %s', (args, text) => {
  expect(() => parse(...args)).toThrow(new FlagError(text));
});

test('help is not an error', () => {
  expect(() => parse('-h')).toThrow(HelpRequested);
  expect(() => parse('-b', '--help')).toThrow(HelpRequested);
});
