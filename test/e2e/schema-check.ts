/** Holds answers against the schemas of the API description, more strictly than JSON Schema: unknown keys are faults. */

import type { JsonType, Schema } from '../../shared/api/schema.ts';

export interface SchemaCheck {
  /** Where and how a value differs. */
  readonly faults: string[];
  /** Names of the schemas that some value was held against. */
  readonly met: Set<string>;
}

const PREFIX = '#/components/schemas/';

/** Adds to `found` what is wrong with the value. Objects without `properties` may hold anything. */
export function checkSchema(
  value: unknown,
  schema: Schema,
  schemas: Readonly<Record<string, Schema>>,
  found: SchemaCheck,
  at = '$',
): void {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice(PREFIX.length);
    const target = schemas[name];
    if (target === undefined) throw new Error(`no schema ${name}`);
    found.met.add(name);
    checkSchema(value, target, schemas, found, at);
    return;
  }
  if (schema.anyOf !== undefined) {
    checkAnyOf(value, schema.anyOf, schemas, found, at);
    return;
  }
  if (schema.type !== undefined && !hasType(value, [schema.type].flat())) {
    found.faults.push(`${at} is ${JSON.stringify(value)}, not ${[schema.type].flat().join(' or ')}`);
    return;
  }
  if (schema.enum !== undefined && !schema.enum.includes(String(value)))
    found.faults.push(`${at} is ${JSON.stringify(value)}, not one of ${schema.enum}`);
  const { items } = schema;
  if (Array.isArray(value) && items !== undefined)
    value.forEach((each, i) => void checkSchema(each, items, schemas, found, `${at}[${i}]`));
  else if (typeof value === 'object' && value !== null) checkObject(value, schema, schemas, found, at);
}

function checkAnyOf(
  value: unknown,
  choices: readonly Schema[],
  schemas: Readonly<Record<string, Schema>>,
  found: SchemaCheck,
  at: string,
): void {
  const tries = choices.map((choice) => {
    const one: SchemaCheck = { faults: [], met: new Set() };
    checkSchema(value, choice, schemas, one, at);
    return one;
  });
  const fitting = tries.find(({ faults }) => faults.length === 0);
  if (fitting === undefined) found.faults.push(...tries.flatMap(({ faults }) => faults));
  for (const name of fitting?.met ?? []) found.met.add(name);
}

function checkObject(
  value: object,
  { properties, required, additionalProperties }: Schema,
  schemas: Readonly<Record<string, Schema>>,
  found: SchemaCheck,
  at: string,
): void {
  for (const name of required ?? [])
    if (!Object.hasOwn(value, name)) found.faults.push(`${at}.${name} is missing`);
  if (properties === undefined && additionalProperties === undefined) return;
  for (const [name, each] of Object.entries(value)) {
    const schema = properties?.[name] ?? additionalProperties;
    if (schema === undefined) found.faults.push(`${at}.${name} is not described`);
    else checkSchema(each, schema, schemas, found, `${at}.${name}`);
  }
}

function hasType(value: unknown, types: readonly JsonType[]): boolean {
  return types.some((type) => {
    if (type === 'null') return value === null;
    if (type === 'array') return Array.isArray(value);
    if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
    if (type === 'integer') return Number.isInteger(value);
    return typeof value === type;
  });
}
