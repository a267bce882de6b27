import { describe, expect, it } from 'vitest';
import { applyFilter, compileFilter } from './apply.ts';
import type { FilterKind } from './fields.ts';

const instance = (id: string, rest: object) => ({
  ID: '',
  Node: `fn-${id}`,
  Address: '10.2.0.1',
  NodeMeta: null,
  ServiceKind: '',
  ServiceID: id,
  ServiceName: 'fs-1',
  ServiceTags: [],
  ServiceAddress: '',
  ServiceWeights: { Passing: 1, Warning: 1 },
  ServiceMeta: {},
  ServicePort: 0,
  ServiceEnableTagOverride: false,
  ServiceProxy: { MeshGateway: {}, Expose: {} },
  ServiceConnect: {},
  ...rest,
});

const INSTANCES = [
  instance('a', {
    NodeMeta: { os: 'linux', 'odd-key': 'v', 'with space': 'x' },
    ServiceTags: ['red', 'eu'],
    ServicePort: 80,
    ServiceMeta: { version: '1' },
    ServiceTaggedAddresses: { lan: { Address: '1.2.3.4', Port: 9 } },
  }),
  instance('b', {
    NodeMeta: { os: 'bsd' },
    ServiceTags: ['blue'],
    ServicePort: 8080,
    ServiceMeta: { version: '2' },
    ServiceEnableTagOverride: true,
  }),
  instance('c', {}),
];

const found = (expression: string) =>
  applyFilter('service-node', expression, INSTANCES)
    .map(({ ServiceID }) => ServiceID)
    .join('');

function problem(kind: FilterKind, expression: string): string {
  try {
    compileFilter(kind, expression);
    return 'none';
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

describe('applyFilter', () => {
  it.each([
    ['ServiceID == a', 'a'],
    ['ServiceID == "a"', 'a'],
    ['ServiceID == `a`', 'a'],
    ['ServiceID != a', 'bc'],
    ['ServiceID==a', 'a'],
    ['ServiceID   ==\n\t"b"', 'b'],
    ['ServiceID == ""', ''],
    ['ServiceID == "\\x61"', 'a'],
    ['ServicePort == 8080', 'b'],
    ['ServicePort != 80', 'bc'],
    ['ServicePort == "80"', 'a'],
    ['ServicePort == "0x50"', 'a'],
    ['ServicePort == -1', ''],
    ['ServiceEnableTagOverride == true', 'b'],
    ['ServiceEnableTagOverride != true', 'ac'],
    ['ServiceEnableTagOverride == 1', 'b'],
    ['ServiceEnableTagOverride == "t"', 'b'],
    ['ServiceTags is empty', 'c'],
    ['ServiceTags is not empty', 'ab'],
    ['ServiceMeta is empty', 'c'],
    ['NodeMeta is not empty', 'ab'],
    ['red in ServiceTags', 'a'],
    ['"red" in ServiceTags', 'a'],
    ['red not in ServiceTags', 'bc'],
    ['ServiceTags contains blue', 'b'],
    ['ServiceTags not contains "blue"', 'ac'],
    ['version in ServiceMeta', 'ab'],
    ['version not in ServiceMeta', 'c'],
    ['ServiceMeta contains version', 'ab'],
    ['"s" in ServiceName', 'abc'],
    ['"2" in ServiceMeta.version', 'b'],
    ['ServiceMeta.version == 1', 'a'],
    ['ServiceMeta.version != 1', 'bc'],
    ['ServiceMeta.none == 1', ''],
    ['NodeMeta["odd-key"] == v', 'a'],
    ['NodeMeta["with space"] == x', 'a'],
    ['NodeMeta.constructor == x', ''],
    ['ServiceID matches "^[ab]$"', 'ab'],
    ['ServiceID not matches "^[ab]$"', 'c'],
    ['ServiceMeta.version matches "[0-9]+"', 'abc'],
    ['ServiceID matches `a|c`', 'ac'],
    ['ServiceTaggedAddresses.lan.Port == 9', 'a'],
    ['ServiceWeights.Passing == 1', 'abc'],
    ['ServiceConnect.Native == false', 'abc'],
    ['ServiceProxy.Expose.Checks == false', 'abc'],
    ['ServiceID == a or ServiceID == b', 'ab'],
    ['ServiceID == a and ServicePort == 80', 'a'],
    ['not ServiceID == a', 'bc'],
    ['not not ServiceID == a', 'a'],
    ['not (ServiceID == a or ServiceID == b)', 'c'],
    ['ServiceID == a or ServiceID == b and ServicePort == 0', 'a'],
    ['(ServiceID == a or ServiceID == c) and ServicePort == 0', 'c'],
    ['not ServiceID == a and not ServiceID == b', 'c'],
    ['((ServiceID == a))', 'a'],
    ['( ServiceID == a )', 'a'],
  ])('%s', (expression, expected) => {
    expect(found(expression)).toBe(expected);
  });

  it('follows objects and asks any of a list of objects', () => {
    const entry = (name: string, checks: object[]) => ({
      Node: { Node: name, Address: '10.2.0.2', Meta: { os: name }, Datacenter: 'dc1' },
      Service: { ID: 's', Tags: ['eu'], Meta: null, Weights: { Passing: 1, Warning: 1 }, Connect: {} },
      Checks: checks,
    });
    const entries = [entry('a', [{ Status: 'warning' }, { Status: 'passing' }]), entry('b', [])];
    const names = (expression: string) =>
      applyFilter('health-entry', expression, entries)
        .map(({ Node }) => Node.Node)
        .join('');
    expect(names('Node.Meta.os == a')).toBe('a');
    expect(names('Service.Kind == "" and Service.Meta is empty')).toBe('ab');
    expect(names('Checks is not empty')).toBe('a');
    expect(names('Checks.Status == warning')).toBe('a');
    expect(names('Checks.Status != warning')).toBe('a');
    expect(names('not Checks.Status == warning')).toBe('b');
  });
});

describe('what is refused', () => {
  it.each([
    ['ServiceAddress is empty', 'Invalid match operator "Is Empty" for selector "ServiceAddress"'],
    ['ServicePort is empty', 'Invalid match operator "Is Empty" for selector "ServicePort"'],
    ['ServiceTags == red', 'Invalid match operator "Equal" for selector "ServiceTags"'],
    ['ServiceMeta == x', 'Invalid match operator "Equal" for selector "ServiceMeta"'],
    ['80 in ServicePort', 'Invalid match operator "In" for selector "ServicePort"'],
    ['ServicePort matches "80"', 'Invalid match operator "Matches" for selector "ServicePort"'],
    ['Unknown == 1', 'Selector "Unknown" is not valid'],
    ['constructor == 1', 'Selector "constructor" is not valid'],
    ['Service.ID == a', 'Selector "Service" is not valid'],
    ['ServiceMeta.version.more == 1', 'Selector "ServiceMeta.version.more" is not valid'],
    [
      'ServicePort == eighty',
      'Failed to coerce value "eighty" for selector "ServicePort": strconv.ParseInt: parsing "eighty": invalid syntax',
    ],
    [
      'ServicePort == 8080.0',
      'Failed to coerce value "8080.0" for selector "ServicePort": strconv.ParseInt: parsing "8080.0": invalid syntax',
    ],
    [
      'ServiceEnableTagOverride == maybe',
      'Failed to coerce value "maybe" for selector "ServiceEnableTagOverride": strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      'ServiceID matches "["',
      'Failed to compile regular expression "[": error parsing regexp: missing closing ]: `[`',
    ],
    ['ServicePort == 080', '1:17 (16): rule "number": Invalid number literal'],
    ['ServiceID == "a\\"b"', '1:14 (13): rule "string": invalid syntax'],
    ['"', '1:2 (1): rule "string": Unterminated string literal'],
    ['(ServiceID == abcde', '1:20 (19): rule "grouping": Unmatched parentheses'],
    [`${'('.repeat(300)}`, '1:202 (201): rule "expression": Nested too deeply'],
    [`${'not '.repeat(300)}a == b`, '1:805 (804): rule "expression": Nested too deeply'],
  ])('%s', (expression, expected) => {
    expect(problem('service-node', expression)).toBe(
      `Failed to create boolean expression evaluator: ${expected}`,
    );
  });

  it.each([
    ['  ', '1:3 (2)'],
    ['nonsense', '1:9 (8)'],
    ['ServiceID ===', '1:13 (12)'],
    ['ServiceID == a b', '1:16 (15)'],
    ['ServiceID > 5', '1:11 (10)'],
    ['ServiceID = a', '1:11 (10)'],
    ["ServiceID == 'a'", '1:14 (13)'],
    ['"a" == ServiceID', '1:5 (4)'],
    ['Port ==', '1:8 (7)'],
    ['Status', '1:7 (6)'],
    ['Port == -', '1:10 (9)'],
    ['Port == -x', '1:10 (9)'],
    ['NodeMeta.odd-key == v', '1:13 (12)'],
    ['ServiceID == a AND ServicePort == 80', '1:16 (15)'],
    ['"é" == x', '1:5 (5)'],
  ])('%j points to %s', (expression, place) => {
    expect(problem('service-node', expression)).toContain(
      `Failed to create boolean expression evaluator: ${place}: no match found, expected: `,
    );
  });

  it('the checks of an agent complain of a bad selector without the prefix', () => {
    expect(problem('agent-check', 'ID == x')).toBe('Selector "ID" is not valid');
    expect(problem('agent-check', 'Status')).toContain(
      'Failed to create boolean expression evaluator: 1:7 (6)',
    );
  });

  it('long chains are fine', () => {
    const chain = Array.from({ length: 5000 }, () => 'ServiceID == a').join(' or ');
    expect(found(chain)).toBe('a');
  });
});
