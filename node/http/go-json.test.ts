import { describe, expect, test } from 'vitest';
import {
  bool,
  decodeJson,
  durationMs,
  float,
  int,
  listOf,
  mapOf,
  optional,
  struct,
  text,
  uint64,
} from './go-json.ts';
import { GoJsonError, parseFirstJson } from './go-json-parse.ts';

const bytes = (body: string) => Buffer.from(body, 'utf8');

const inner = struct({ Passing: int, Warning: int });
const shape = struct(
  {
    Name: text,
    Port: int,
    Flags: uint64,
    Ratio: float,
    Open: bool,
    Tags: listOf(text),
    Meta: mapOf(text),
    TTL: durationMs,
    Weights: optional(inner),
    EnableTagOverride: bool,
  },
  { aliases: { enable_tag_override: 'EnableTagOverride' }, isCustom: true },
);

describe('syntax complaints are Go’s', () => {
  test.each([
    ['', 'EOF'],
    [' \n\t', 'EOF'],
    ['{', 'unexpected EOF'],
    ['{"Name":"x"', 'unexpected EOF'],
    ['"open', 'unexpected EOF'],
    ['tru', 'unexpected EOF'],
    ['plain text', "invalid character 'p' looking for beginning of value"],
    ['text', "invalid character 'e' in literal true (expecting 'r')"],
    ['nul!', "invalid character '!' in literal null (expecting 'l')"],
    ['{"Name":"x",}', "invalid character '}' looking for beginning of object key string"],
    ["{'Name':'x'}", "invalid character '\\'' looking for beginning of object key string"],
    ['{"Name" 1}', "invalid character '1' after object key"],
    ['{"Name":"x" "y"}', "invalid character '\"' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['\ufeff{}', "invalid character 'ï' looking for beginning of value"],
    ['\u0001', "invalid character '\\x01' looking for beginning of value"],
    ['['.repeat(600), 'exceeded max depth'],
  ])('%j', (body, complaint) => {
    expect(() => parseFirstJson(bytes(body))).toThrow(new GoJsonError(complaint));
  });
});

describe('values', () => {
  test('only the first value is looked at', () => {
    expect(decodeJson(bytes('{"Name":"a"}{"Name":"b"} trailing'), shape).Name).toBe('a');
  });

  test('field names match in any case, the last of several wins', () => {
    const decoded = decodeJson(bytes('{"NAME":"a","name":"b","nAmE":"c"}'), shape);
    expect(decoded.Name).toBe('c');
  });

  test('an alias counts only where the field itself is zero', () => {
    expect(decodeJson(bytes('{"enable_tag_override":true}'), shape).EnableTagOverride).toBe(true);
    expect(
      decodeJson(bytes('{"enable_tag_override":false,"EnableTagOverride":true}'), shape).EnableTagOverride,
    ).toBe(true);
  });

  test('null leaves zero values, and pointers, lists and maps empty', () => {
    const nulls = '{"Name":null,"Port":null,"Tags":null,"Meta":null,"Weights":null,"TTL":null}';
    expect(decodeJson(bytes(nulls), shape)).toEqual(decodeJson(bytes('null'), shape));
    expect(decodeJson(bytes('{}'), shape)).toEqual({
      Name: '',
      Port: 0,
      Flags: 0,
      Ratio: 0,
      Open: false,
      Tags: null,
      Meta: null,
      TTL: 0,
      Weights: undefined,
      EnableTagOverride: false,
    });
  });

  test('large unsigned numbers stay exact', () => {
    expect(decodeJson(bytes('{"Flags":18446744073709551615}'), shape).Flags).toBe(18446744073709551615n);
    expect(decodeJson(bytes('{"Flags":42}'), shape).Flags).toBe(42);
  });

  test('durations are text or nanoseconds', () => {
    expect(decodeJson(bytes('{"TTL":"1m30s"}'), shape).TTL).toBe(90_000);
    expect(decodeJson(bytes('{"TTL":5000000}'), shape).TTL).toBe(5);
    expect(decodeJson(bytes('{"TTL":true}'), shape).TTL).toBe(0);
  });

  test('escapes, lone surrogates and broken UTF-8', () => {
    expect(decodeJson(bytes('"\\u00e9\\n\\ud83d\\ude00\\ud800"'), text)).toBe('é\n😀\ufffd');
    expect(decodeJson(Buffer.from([0x22, 0xff, 0x22]), text)).toBe('\ufffd');
  });

  test('maps come out in byte order and may hold any key', () => {
    const meta = decodeJson(bytes('{"Meta":{"b":"1","a":"2","__proto__":"3"}}'), shape).Meta ?? {};
    expect(Object.keys(meta)).toEqual(['__proto__', 'a', 'b']);
  });
});

describe('complaints about types', () => {
  test.each([
    ['{"Port":"eighty"}', 'json: cannot unmarshal string into Go struct field .Port of type int'],
    ['{"Port":1.5}', 'json: cannot unmarshal number 1.5 into Go struct field .Port of type int'],
    ['{"Tags":"one"}', 'json: cannot unmarshal string into Go struct field .Tags of type []'],
    ['{"Flags":-1}', 'json: cannot unmarshal number -1 into Go struct field .Flags of type uint64'],
    [
      '{"Flags":18446744073709551616}',
      'json: cannot unmarshal number 18446744073709551616 into Go struct field .Flags of type uint64',
    ],
    [
      '{"Weights":{"Passing":true}}',
      'json: cannot unmarshal bool into Go struct field .Weights.Passing of type int',
    ],
    ['[]', 'json: cannot unmarshal array into Go value of type struct'],
    ['true', 'json: cannot unmarshal bool into Go value of type struct'],
    ['{"Foo":1}', 'json: unknown field "Foo"'],
    ['{"TTL":"soon"}', 'time: invalid duration "soon"'],
    ['{"Port":"x","Foo":1}', 'json: cannot unmarshal string into Go struct field .Port of type int'],
  ])('%s', (body, complaint) => {
    expect(() => decodeJson(bytes(body), shape)).toThrow(new GoJsonError(complaint));
  });

  test('a broken body is refused for its syntax before its types', () => {
    expect(() => decodeJson(bytes('{"Port":"x",'), shape)).toThrow(new GoJsonError('unexpected EOF'));
  });

  test('a type with its own decoder ends everything at once', () => {
    const outer = struct({ Name: text, Check: shape });
    expect(() => decodeJson(bytes('{"Name":1,"Check":{"TTL":"x"}}'), outer)).toThrow(
      new GoJsonError('time: invalid duration "x"'),
    );
  });

  test('unknown fields may be ignored', () => {
    const lax = struct({ Name: text }, { ignoreUnknown: true });
    expect(decodeJson(bytes('{"Foo":{"a":[1]},"Name":"x"}'), lax)).toEqual({ Name: 'x' });
  });
});
