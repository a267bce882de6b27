/** The OpenAPI 3.1 document of a table of operations. */

import { CONSUL_API_VERSION } from '../types/v1.ts';
import type { Content, Operation } from './operation.ts';
import { PATH_PARAMETERS, QUERY_PARAMETERS, type QueryParameter, queryParameter } from './parameters.ts';
import type { Schema } from './schema.ts';
import { SCHEMAS } from './schemas.ts';

const DESCRIPTION = [
  "Consul's HTTP API.",
  'Answers are compact JSON, indented with `?pretty`. Refusals are plain text.',
  'Reads that take `index` send `X-Consul-Index`; given back as `index`, it makes the next read wait for news.',
].join(' ');

/** Every parameter name of a path must be described. @throws Error when one is not */
export function openApiDocument(operations: readonly Operation[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    const item = paths[operation.path] ?? {};
    item[operation.method.toLowerCase()] = operationObject(operation);
    paths[operation.path] = item;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Proconsul',
      version: CONSUL_API_VERSION,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{}, { token: [] }, { bearer: [] }, { query: [] }],
    tags: [...new Set(operations.map(tagOf))].map((name) => ({ name })),
    paths,
    components: components(),
  };
}

function operationObject(operation: Operation): object {
  const { id, summary, body, answer, otherwise } = operation;
  const isJson = answer !== undefined && 'schema' in answer;
  const parameters = [
    ...pathParameters(operation),
    ...operation.query.map(reference),
    ...(isJson ? [{ $ref: '#/components/parameters/pretty' }] : []),
  ];
  return {
    operationId: id,
    tags: [tagOf(operation)],
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: { content: contentObject(body) } }),
    responses: {
      200: {
        description: answer === undefined ? 'Done.' : 'The answer.',
        ...(operation.query.includes('index') && { headers: META_HEADERS }),
        ...(answer !== undefined && { content: contentObject(answer) }),
      },
      ...otherResponses(otherwise ?? {}),
      default: { $ref: '#/components/responses/Refused' },
    },
  };
}

/** `/v1/kv/{key}` belongs to `kv`; what is not of the API belongs to itself. */
function tagOf({ path }: Operation): string {
  const [first = '', second = ''] = path.slice(1).split('/');
  return first === 'v1' ? second : first === 'debug' ? first : 'pages';
}

function pathParameters({ path }: Operation): object[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => {
    if (!isPathParameter(name)) throw new Error(`the path parameter ${name} of ${path} is not described`);
    const schema = { type: 'string' };
    return { name, in: 'path', required: true, description: PATH_PARAMETERS[name], schema };
  });
}

function isPathParameter(name: string): name is keyof typeof PATH_PARAMETERS {
  return Object.hasOwn(PATH_PARAMETERS, name);
}

function reference(name: string): object {
  return { $ref: `#/components/parameters/${name}` };
}

function contentObject(content: Content): object {
  return 'schema' in content ? { 'application/json': { schema: content.schema } } : { [content.bytes]: {} };
}

function otherResponses(meanings: Readonly<Record<number, string>>): object {
  return Object.fromEntries(
    Object.entries(meanings).map(([status, description]) => [status, { description }]),
  );
}

const META_HEADERS = Object.fromEntries(
  ['X-Consul-Index', 'X-Consul-KnownLeader', 'X-Consul-LastContact'].map((name) => [
    name,
    { $ref: `#/components/headers/${name}` },
  ]),
);

function components(): object {
  const names = Object.keys(QUERY_PARAMETERS) as QueryParameter[];
  return {
    schemas: SCHEMAS,
    parameters: {
      ...Object.fromEntries(names.map((name) => [name, parameterObject(name)])),
      pretty: {
        name: 'pretty',
        in: 'query',
        description: 'Indents the answer.',
        schema: { type: 'boolean' },
        allowEmptyValue: true,
      },
    },
    headers: {
      'X-Consul-Index': header('Index of the answer, for `index` of the next request.', 'integer'),
      'X-Consul-KnownLeader': header('Whether the server that answered knows a leader.', 'boolean'),
      'X-Consul-LastContact': header('Milliseconds since that server heard from it.', 'integer'),
    },
    responses: {
      Refused: {
        description: 'Refused or failed; the text says why.',
        content: { 'text/plain': { schema: { type: 'string' } } },
      },
    },
    securitySchemes: {
      token: { type: 'apiKey', in: 'header', name: 'X-Consul-Token' },
      bearer: { type: 'http', scheme: 'bearer' },
      query: { type: 'apiKey', in: 'query', name: 'token' },
    },
  };
}

function parameterObject(name: QueryParameter): object {
  const { name: sentName = name, description, schema, repeats, isPresence } = queryParameter(name);
  return {
    name: sentName,
    in: 'query',
    description,
    schema: repeats === true ? { type: 'array', items: schema } : schema,
    ...(isPresence === true && { allowEmptyValue: true }),
  };
}

function header(description: string, type: Schema['type']): object {
  return { description, schema: { type } };
}
