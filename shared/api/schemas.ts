/** All schemas by name, and references to them that are checked by the compiler. */

import { ANSWER_SCHEMAS } from './answer-schemas.ts';
import { REQUEST_SCHEMAS } from './request-schemas.ts';
import type { Schema } from './schema.ts';

export const SCHEMAS = { ...ANSWER_SCHEMAS, ...REQUEST_SCHEMAS };

export type SchemaName = keyof typeof SCHEMAS;

/** Refers to a schema of `components`. */
export function ref(name: SchemaName): Schema {
  return { $ref: `#/components/schemas/${name}` };
}
