import { describe, expect, test } from 'vitest';
import { openApiDocument } from './openapi.ts';
import { OPERATIONS } from './operations.ts';
import { SCHEMAS } from './schemas.ts';

const document = openApiDocument(OPERATIONS);

/** All values of a key, at any depth. */
function valuesOf(key: string, value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => [
    ...(name === key ? [each] : []),
    ...valuesOf(key, each),
  ]);
}

function resolve(reference: string): unknown {
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], document);
}

describe('the OpenAPI document', () => {
  test('has no reference to nothing', () => {
    const references = valuesOf('$ref', document) as string[];
    expect(references.length).toBeGreaterThan(200);
    expect(references.filter((reference) => resolve(reference) === undefined)).toEqual([]);
  });

  test('names every operation once', () => {
    const ids = OPERATIONS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !/^[a-z][A-Za-z]+$/.test(id))).toEqual([]);
  });

  test('has no schema that no operation uses, directly or through others', () => {
    const used = new Set<string>();
    const follow = (value: unknown): void => {
      for (const reference of valuesOf('$ref', value) as string[]) {
        if (used.has(reference)) continue;
        used.add(reference);
        follow(resolve(reference));
      }
    };
    follow((document as { paths: object }).paths);
    const names = Object.keys(SCHEMAS).filter((name) => !used.has(`#/components/schemas/${name}`));
    expect(names).toEqual([]);
  });

  test('describes an operation with path, query and body', () => {
    const { paths } = document as { paths: Record<string, Record<string, unknown>> };
    expect(paths['/v1/kv/{key}']?.put).toEqual({
      operationId: 'kvPut',
      tags: ['kv'],
      summary: 'Writes a value; `false` if a condition did not hold.',
      parameters: [
        {
          name: 'key',
          in: 'path',
          required: true,
          description: expect.any(String),
          schema: { type: 'string' },
        },
        { $ref: '#/components/parameters/dc' },
        { $ref: '#/components/parameters/flags' },
        { $ref: '#/components/parameters/cas' },
        { $ref: '#/components/parameters/acquire' },
        { $ref: '#/components/parameters/release' },
        { $ref: '#/components/parameters/pretty' },
      ],
      requestBody: { content: { 'application/octet-stream': {} } },
      responses: {
        200: { description: 'The answer.', content: { 'application/json': { schema: { type: 'boolean' } } } },
        413: { description: 'The value is too large.' },
        default: { $ref: '#/components/responses/Refused' },
      },
    });
  });

  test('refuses a path whose parameter nobody described', () => {
    const [first] = OPERATIONS;
    if (first === undefined) throw new Error('there are operations');
    expect(() => openApiDocument([{ ...first, path: '/v1/{unheard}' }])).toThrow(
      'the path parameter unheard of /v1/{unheard} is not described',
    );
  });
});
