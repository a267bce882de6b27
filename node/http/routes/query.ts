/** `/v1/query` and everything below it. */

import { isIP } from 'node:net';
import { ConsulError, refused } from '../../../shared/errors.ts';
import { isEmptyJson, renderJson } from '../../../shared/json.ts';
import { entryAsStored } from '../../../shared/types/as-stored.ts';
import type { JsonReply, ReadMeta } from '../../rpc/backend.ts';
import {
  preparedQueryApply,
  preparedQueryExplain,
  preparedQueryGet,
  preparedQueryList,
} from '../../rpc/query-endpoints.ts';
import type { ExecutedQuery } from '../../rpc/query-execution.ts';
import { executeQuery } from '../../rpc/query-execution.ts';
import { asksForCache, staleIfErrorMs, throughCache } from '../cached-read.ts';
import { queryBody, toQueryDefinition } from '../query-body.ts';
import { type ServeStyle, serveRead, serveValue } from '../read.ts';
import { type ParsedReadOptions, readOptions } from '../read-options.ts';
import {
  EMPTY_OK,
  embeddedMeta,
  errorReply,
  FAILED_META_HEADERS,
  jsonReply,
  metaHeaders,
  type Reply,
  rawJsonReply,
} from '../reply.ts';
import { type HttpRequest, plainAddress } from '../request.ts';
import { route } from '../router.ts';
import { translatesWan, withWanAddresses } from '../wan-addresses.ts';
import { callOptions, decodeBody, parseGoBool } from './parts.ts';

const PREFIX = '/v1/query/';

const QUERY_READ: ServeStyle = { meta: true, effectiveConsistency: true, noMetaOnMiss: true };

export const queryRoutes = [
  route('GET POST', '/v1/query', (request) =>
    request.method === 'GET' ? serveRead(request, preparedQueryList, {}, QUERY_READ) : create(request),
  ),
  route('GET PUT DELETE', PREFIX, below, { answersMethods: true }),
];

/** Methods are told apart here: what is allowed depends on the end of the path. */
function below(request: HttpRequest): Reply | Promise<Reply> {
  const path = request.after(PREFIX);
  for (const [ending, handler] of [
    ['/execute', execute],
    ['/explain', explain],
  ] as const) {
    if (!request.path.endsWith(ending)) continue;
    // A query may be called as the ending is: then there is no slash left to cut it off at.
    const query = path.endsWith(ending) ? path.slice(0, -ending.length) : path;
    return byMethod(request, { GET: () => handler(request, query) });
  }
  return byMethod(request, {
    GET: () => serveRead(request, preparedQueryGet, { id: path }, QUERY_READ),
    PUT: () => update(request, path),
    DELETE: () => remove(request, path),
  });
}

function byMethod(
  request: HttpRequest,
  handlers: Readonly<Record<string, () => Promise<Reply>>>,
): Reply | Promise<Reply> {
  const { method } = request;
  const allowed = Object.keys(handlers).join(',');
  const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (handler !== undefined) return handler();
  // Consul answers with an empty object here, and forgets to list OPTIONS when it refuses.
  if (method === 'OPTIONS') return jsonReply({}, request.isPretty, ['Allow', `OPTIONS,${allowed}`]);
  const error = new ConsulError('method-not-allowed', 405, `method ${method} not allowed`);
  return errorReply(error, ['Allow', allowed]);
}

async function create(request: HttpRequest): Promise<Reply> {
  const query = toQueryDefinition(await decodeBody(request, queryBody));
  const { backend } = request.context.dependencies;
  const id = await backend.write(preparedQueryApply, { op: 'create', query }, callOptions(request));
  return jsonReply({ ID: id }, request.isPretty);
}

async function update(request: HttpRequest, id: string): Promise<Reply> {
  // A body that does not announce its length is not looked at, as in Consul.
  const hasBody = (request.contentLength ?? 0) > 0;
  const body = hasBody ? await decodeBody(request, queryBody) : queryBody.zero;
  const args = { op: 'update', query: toQueryDefinition(body, id) } as const;
  await request.context.dependencies.backend.write(preparedQueryApply, args, callOptions(request));
  return EMPTY_OK;
}

async function remove(request: HttpRequest, id: string): Promise<Reply> {
  const { backend } = request.context.dependencies;
  await backend.write(preparedQueryApply, { op: 'delete', id }, callOptions(request));
  return EMPTY_OK;
}

function explain(request: HttpRequest, query: string): Promise<Reply> {
  const { effective } = readOptions(request, QUERY_READ);
  limitOf(request);
  const style = { ...QUERY_READ, neverBlocks: true };
  return serveValue(request, preparedQueryExplain, { query }, style, (found, headers, meta) =>
    jsonReply({ Query: found, ...embeddedMeta(meta, effective) }, request.isPretty, headers),
  );
}

async function execute(request: HttpRequest, query: string): Promise<Reply> {
  const parsed = readOptions(request, { neverBlocks: true });
  const wanted = { query, limit: limitOf(request), connect: connectOf(request), near: nearOf(request) };
  const fetch = () => executed(request, wanted, parsed);
  try {
    const { reply, headers } = asksForCache(request)
      ? await throughCache(
          request,
          ['PreparedQuery.Execute', wanted],
          'simple',
          parsed,
          fetch,
          staleIfErrorMs(request),
        )
      : { reply: await fetch(), headers: [] };
    return rawJsonReply(reply.body, [...metaHeaders(reply.meta, parsed.effective), ...headers]);
  } catch (thrown) {
    const isMiss = thrown instanceof ConsulError && thrown.code === 'not-found';
    return errorReply(thrown, isMiss ? [] : FAILED_META_HEADERS);
  }
}

interface Wanted {
  readonly query: string;
  readonly limit: number;
  readonly connect: boolean;
  readonly near: string;
}

async function executed(
  request: HttpRequest,
  wanted: Wanted,
  { options, effective }: ParsedReadOptions,
): Promise<JsonReply> {
  const { config, dependencies } = request.context;
  let first: ReadMeta | undefined;
  const found = await executeQuery(
    (endpoint, args, datacenter) =>
      dependencies.backend.read(endpoint, args, { ...options, datacenter }).then((reply) => {
        first ??= reply.meta;
        return reply.value;
      }),
    {
      ...wanted,
      datacenter: options.datacenter,
      ownDatacenter: config.datacenter,
      agentNode: config.nodeName,
      sourceAddress: sourceAddress(request),
    },
    dependencies.env.random,
  );
  const meta = {
    index: 1,
    knownLeader: first?.knownLeader ?? false,
    lastContactMs: first?.lastContactMs ?? 0,
  };
  const asFound = { ...shown(found), ...embeddedMeta(meta, effective) };
  const value = translatesWan(config, found.datacenter) ? withWanAddresses(asFound) : asFound;
  return {
    meta,
    body: Buffer.from(renderJson(value, request.isPretty), 'utf8'),
    isEmpty: isEmptyJson(value),
  };
}

function shown({ service, nodes, ttl, datacenter, failovers }: ExecutedQuery) {
  return {
    Service: service,
    Nodes: nodes.map(entryAsStored),
    DNS: { TTL: ttl },
    Datacenter: datacenter,
    Failovers: failovers,
  };
}

/** @throws ConsulError 500 in the words of Go's parser */
function limitOf(request: HttpRequest): number {
  const text = request.rawQuery === '' ? '' : request.query.text('limit');
  if (text === '') return 0;
  if (!/^[+-]?\d+$/.test(text)) {
    throw refused(`Bad limit: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

/** @throws ConsulError 500 in the words of Go's parser */
function connectOf(request: HttpRequest): boolean {
  const text = request.rawQuery === '' ? '' : request.query.text('connect');
  const parsed = text === '' ? false : parseGoBool(text);
  if (parsed !== undefined) return parsed;
  throw refused(
    `Error parsing 'connect' value: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}

function nearOf(request: HttpRequest): string {
  const near = request.rawQuery === '' ? '' : request.query.text('near');
  return near === '_agent' ? request.context.config.nodeName : near;
}

/** Who asks: as the first proxy says, else the peer. */
function sourceAddress(request: HttpRequest): string {
  const forwarded = request.header('x-forwarded-for')?.split(',')[0]?.trim() ?? '';
  return isIP(forwarded) === 0 ? request.remoteAddress : plainAddress(forwarded);
}
