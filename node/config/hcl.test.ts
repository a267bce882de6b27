import { expect, test } from 'vitest';
import { parseHcl } from './hcl.ts';

test('values, blocks, lists and maps', () => {
  expect(parseHcl('# a comment\nname = "n1" // another\nport = 8500')).toEqual({ name: 'n1', port: 8500 });
  expect(
    parseHcl(`
      /* over
         lines */
      ports { http = 1 dns = -1 }
      meta = { "a b" = "c", d = 1.5 }
      tags = ["x", "y",]
      on = true
      off = false
      "quoted" = 0x10
    `),
  ).toEqual({
    ports: { http: 1, dns: -1 },
    meta: { 'a b': 'c', d: 1.5 },
    tags: ['x', 'y'],
    on: true,
    off: false,
    quoted: 16,
  });
});

test('repeated blocks are a list, labels are keys, a repeated value replaces', () => {
  expect(parseHcl('s { a = 1 } s { a = 2 } s { a = 3 }')).toEqual({ s: [{ a: 1 }, { a: 2 }, { a: 3 }] });
  expect(parseHcl('service "web" { port = 1 }')).toEqual({ service: { web: { port: 1 } } });
  expect(parseHcl('a = 1\na = 2')).toEqual({ a: 2 });
  expect(parseHcl('s = [{ a = 1 }, { a = 2 }]')).toEqual({ s: [{ a: 1 }, { a: 2 }] });
});

test('strings keep their escapes apart', () => {
  expect(parseHcl(String.raw`a = "x\n\t\"\\\u00e4"`)).toEqual({ a: 'x\n\t"\\ä' });
  expect(parseHcl('a = "#no comment // either"')).toEqual({ a: '#no comment // either' });
});

test('heredocs keep their lines, and lose the indent of the closing marker when it has a dash', () => {
  expect(parseHcl('a = <<EOF\n  one\n two\nEOF\nb = 1')).toEqual({ a: '  one\n two\n', b: 1 });
  expect(parseHcl('a = <<-EOF\n    one\n      two\n    EOF\n')).toEqual({ a: 'one\n  two\n' });
  expect(parseHcl('a = <<-EOF\n  one\n      two\n    EOF\n')).toEqual({ a: '  one\n      two\n' });
});

test('nothing at all is an empty configuration', () => {
  expect(parseHcl('')).toEqual({});
  expect(parseHcl('# only a comment')).toEqual({});
});

test.each([
  ['a = ', 'At 1:5: Unknown token: "EOF"'],
  ['a = bare', 'At 1:5: Unknown token: "bare"'],
  ['\n a "b', 'At 2:4: literal not terminated'],
  ['a b', "At 1:4: key 'a' expected start of object ('{') or assignment ('=')"],
  ['a {', 'At 1:4: object expected closing RBRACE got: EOF'],
  ['a = [1 2]', 'At 1:8: error parsing list, expected comma or list end'],
  ['a = <<EOF\nx', 'At 1:5: heredoc not terminated'],
  ['}', 'At 1:1: illegal character "}"'],
  ['/* open', 'At 1:1: illegal character "/"'],
])('%j: %s', (text, message) => {
  expect(() => parseHcl(text)).toThrow(message);
});

test('deep nesting ends in an error, not in a crash', () => {
  expect(() => parseHcl('a { '.repeat(100_000))).toThrow('nesting is too deep');
  expect(() => parseHcl(`a = ${'['.repeat(100_000)}`)).toThrow('nesting is too deep');
});
