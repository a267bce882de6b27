/** Checks filter expressions against the kind of objects they are for, and applies them. */

import { refused } from '../errors.ts';
import type { Fields, FieldType, FilterKind } from './fields.ts';
import { FIELDS } from './fields.ts';
import type { Expression, Match, Operator } from './parser.ts';
import { FilterSyntaxError, parseFilter } from './parser.ts';
import { compilePattern, PatternError } from './pattern.ts';

type Predicate = (item: unknown) => boolean;

const PREFIX = 'Failed to create boolean expression evaluator: ';

/**
 * The items for which an expression holds, in their order.
 *
 * @param expression not ''
 * @throws ConsulError in Consul's words when the expression doesn't parse or doesn't fit the kind
 */
export function applyFilter<T>(kind: FilterKind, expression: string, items: readonly T[]): T[] {
  return items.filter(compileFilter(kind, expression));
}

/** An expression as a test of one object. @throws ConsulError as `applyFilter` */
export function compileFilter(kind: FilterKind, expression: string): (item: unknown) => boolean {
  try {
    return compiled(parseFilter(expression), FIELDS[kind]);
  } catch (thrown) {
    if (thrown instanceof FilterSyntaxError) throw refused(PREFIX + thrown.message);
    if (thrown instanceof UnfitExpression) {
      // The agent checks the selectors of this one list elsewhere, and says so without the prefix.
      const isBare = kind === 'agent-check' && thrown.message.startsWith('Selector ');
      throw refused((isBare ? '' : PREFIX) + thrown.message);
    }
    throw thrown;
  }
}

/** The expression is well formed but not about such objects. */
class UnfitExpression extends Error {
  override readonly name = 'UnfitExpression';
}

function compiled(expression: Expression, fields: Fields): Predicate {
  switch (expression.kind) {
    case 'match':
      return compiledMatch(expression, fields);
    case 'not': {
      const of = compiled(expression.of, fields);
      return (item) => !of(item);
    }
    case 'and':
    case 'or':
      return compiledChain(expression, fields);
    default:
      return expression satisfies never;
  }
}

/** Chains lean to the right and may be long: they are followed in a loop. */
function compiledChain(expression: Expression & { kind: 'and' | 'or' }, fields: Fields): Predicate {
  const operands: Predicate[] = [];
  let rest: Expression = expression;
  while (rest.kind === expression.kind && 'left' in rest) {
    operands.push(compiled(rest.left, fields));
    rest = rest.right;
  }
  operands.push(compiled(rest, fields));
  return expression.kind === 'and'
    ? (item) => operands.every((holds) => holds(item))
    : (item) => operands.some((holds) => holds(item));
}

function compiledMatch(match: Match, fields: Fields): Predicate {
  const selected = fieldType({ type: 'object', fields }, match.selector);
  const name = match.selector.join('.');
  if (!OPERATORS[selected.type].includes(match.operator)) {
    throw new UnfitExpression(`Invalid match operator "${match.operator}" for selector "${name}"`);
  }
  const test = testOf(match, selected, name);
  return (item) => evaluated(item, { type: 'object', fields }, match.selector, match.operator, test);
}

const OPERATORS: Readonly<Record<FieldType['type'], readonly Operator[]>> = {
  text: ['Equal', 'Not Equal', 'In', 'Not In', 'Matches', 'Not Matches'],
  bool: ['Equal', 'Not Equal'],
  int: ['Equal', 'Not Equal'],
  list: ['Is Empty', 'Is Not Empty', 'In', 'Not In'],
  map: ['Is Empty', 'Is Not Empty', 'In', 'Not In'],
  objects: ['Is Empty', 'Is Not Empty'],
  object: [],
};

function fieldType(root: FieldType, selector: readonly string[]): FieldType {
  let type = root;
  for (const [at, part] of selector.entries()) {
    const next = memberType(type, part);
    if (next === undefined) {
      throw new UnfitExpression(`Selector "${selector.slice(0, at + 1).join('.')}" is not valid`);
    }
    type = next;
  }
  return type;
}

function memberType(type: FieldType, part: string): FieldType | undefined {
  if (type.type === 'map') return type.of;
  if (type.type !== 'object' && type.type !== 'objects') return undefined;
  return Object.hasOwn(type.fields, part) ? type.fields[part] : undefined;
}

/** The positive test of a found value; negation is added around it. */
function testOf({ operator, value }: Match, type: FieldType, name: string): Predicate {
  switch (operator) {
    case 'Equal':
    case 'Not Equal': {
      const wanted = coerced(value, type, name);
      return (found) => found === wanted;
    }
    case 'Is Empty':
    case 'Is Not Empty':
      return (found) => sizeOf(found) === 0;
    case 'In':
    case 'Not In':
      return (found) => isIn(value, found);
    case 'Matches':
    case 'Not Matches':
      return patternTest(value);
    default:
      return operator satisfies never;
  }
}

function patternTest(value: string): Predicate {
  try {
    const matches = compilePattern(value);
    return (found) => typeof found === 'string' && matches(found);
  } catch (thrown) {
    if (!(thrown instanceof PatternError)) throw thrown;
    throw new UnfitExpression(
      `Failed to compile regular expression ${JSON.stringify(value)}: error parsing regexp: ${thrown.message}`,
    );
  }
}

function coerced(value: string, type: FieldType, name: string): unknown {
  if (type.type === 'text') return value;
  const result = type.type === 'bool' ? BOOLS.get(value) : parsedInt(value);
  if (result !== undefined) return result;
  const parser = type.type === 'bool' ? 'ParseBool' : 'ParseInt';
  throw new UnfitExpression(
    `Failed to coerce value ${JSON.stringify(value)} for selector "${name}": strconv.${parser}: parsing ${JSON.stringify(value)}: invalid syntax`,
  );
}

const BOOLS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

/** Decimal, or as in Go with the prefix 0x, 0o, 0b or a leading 0 for octal. */
function parsedInt(text: string): number | undefined {
  const found = /^([+-]?)(?:(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)|0([0-7]+)|(0|[1-9][0-9]*))$/.exec(
    text,
  );
  if (found === null) return undefined;
  const [, sign, prefixed, octal, decimal] = found;
  const size = octal === undefined ? Number(prefixed ?? decimal) : Number.parseInt(octal, 8);
  return sign === '-' ? -size || 0 : size;
}

/**
 * Follows the selector from a value; what an object lacks counts as its type's zero. A key that a map lacks decides by
 * itself, and a list of objects holds when any of them does.
 */
function evaluated(
  value: unknown,
  type: FieldType,
  path: readonly string[],
  operator: Operator,
  test: Predicate,
): boolean {
  const [part, ...rest] = path;
  if (part === undefined) {
    const isNegated = operator.includes('Not');
    return test(value ?? ZEROS[type.type]) !== isNegated;
  }
  if (type.type === 'objects') {
    const items: readonly unknown[] = Array.isArray(value) ? value : [];
    return items.some((item) =>
      evaluated(item, { type: 'object', fields: type.fields }, path, operator, test),
    );
  }
  const member = memberOf(value, part);
  if (type.type === 'map') {
    if (member === undefined) return WHEN_KEY_IS_MISSING[operator];
    return evaluated(member, type.of, rest, operator, test);
  }
  const next = memberType(type, part);
  if (next === undefined) throw new Error(`filter: selector "${part}" was not checked`);
  return evaluated(member, next, rest, operator, test);
}

const ZEROS: Readonly<Record<FieldType['type'], unknown>> = {
  text: '',
  bool: false,
  int: 0,
  list: [],
  map: {},
  objects: [],
  object: {},
};

const WHEN_KEY_IS_MISSING: Readonly<Record<Operator, boolean>> = {
  Equal: false,
  In: false,
  'Is Not Empty': false,
  'Not Equal': true,
  'Not In': true,
  'Is Empty': true,
  Matches: true,
  'Not Matches': true,
};

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
}

function isIn(wanted: string, value: unknown): boolean {
  if (typeof value === 'string') return value.includes(wanted);
  if (Array.isArray(value)) return value.includes(wanted);
  return typeof value === 'object' && value !== null && Object.hasOwn(value, wanted);
}
