/** The part of JSON Schema 2020-12 that describes the API, and builders that hold a schema against its TypeScript type. */

export type JsonType = 'string' | 'number' | 'integer' | 'boolean' | 'object' | 'array' | 'null';

export interface Schema {
  readonly $ref?: string;
  readonly type?: JsonType | readonly JsonType[];
  readonly description?: string;
  readonly format?: string;
  readonly contentEncoding?: 'base64';
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Of an object without `properties`: what every value is. */
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

type OptionalKeys<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];
type RequiredKeys<T> = Exclude<keyof T, OptionalKeys<T>>;

/** One schema for each key of `T`: a missing, surplus or wrongly optional key is a type error. */
export type RequiredSchemas<T> = { readonly [K in RequiredKeys<T>]: Schema };
export type OptionalSchemas<T> = { readonly [K in OptionalKeys<T>]: Schema };

/**
 * An object with the keys of `T`.
 *
 * @param required schemas of the keys that are always there
 * @param optional schemas of the keys that may be absent
 */
export function record<T extends object>(
  description: string,
  required: RequiredSchemas<T>,
  ...optional: OptionalKeys<T> extends never ? [] : [OptionalSchemas<T>]
): Schema {
  const properties: Record<string, Schema> = { ...required, ...optional[0] };
  return { type: 'object', description, properties, required: Object.keys(required) };
}

/** As `record`, for an object that is part of another and needs no sentence of its own. */
export function part(required: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', properties: required, required: Object.keys(required) };
}

export function list(items: Schema): Schema {
  return { type: 'array', items };
}

/** An object whose keys are free. */
export function mapOf(values: Schema): Schema {
  return { type: 'object', additionalProperties: values };
}

export function orNull(schema: Schema): Schema {
  if (typeof schema.type === 'string') return { ...schema, type: [schema.type, 'null'] };
  return { anyOf: [schema, { type: 'null' }] };
}

/** The same schema with another sentence. */
export function described(description: string, schema: Schema): Schema {
  return schema.$ref === undefined ? { ...schema, description } : { anyOf: [schema], description };
}

export const text: Schema = { type: 'string' };
export const flag: Schema = { type: 'boolean' };
export const decimal: Schema = { type: 'number' };
export const whole: Schema = { type: 'integer' };
/** Up to 2⁶⁴ − 1: readers that keep numbers as doubles lose digits of values above 2⁵³. */
export const unsigned: Schema = { type: 'integer', minimum: 0 };
export const uuid: Schema = { type: 'string', format: 'uuid' };
export const base64: Schema = { type: 'string', contentEncoding: 'base64' };
export const texts: Schema = list(text);
export const textMap: Schema = mapOf(text);
/** Anything at all. */
export const anything: Schema = {};
export const anyObject: Schema = { type: 'object' };
