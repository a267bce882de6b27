/** `/v1/kv/:key`. The key is everything behind the prefix, decoded. */

import { badRequest } from '../../../shared/errors.ts';
import type { KvEntry, Uint64 } from '../../../shared/types/v1.ts';
import type { JsonReply } from '../../rpc/backend.ts';
import { type KvApplyArgs, type KvVerb, kvApply, kvGet, kvList, kvListKeys } from '../../rpc/endpoints.ts';
import { rawValueType } from '../content-type.ts';
import { KV_READ, serveRead, serveValue } from '../read.ts';
import { booleanReply, NOT_FOUND, type Reply, rawJsonReply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions, parseGoUint, requiredPart } from './parts.ts';

const PREFIX = '/v1/kv/';

export const kvRoutes = [
  route('GET PUT DELETE', PREFIX, (request) => {
    request.refuseNamespace();
    if (request.method === 'GET') return get(request);
    return request.method === 'PUT' ? put(request) : remove(request);
  }),
];

function get(request: HttpRequest): Promise<Reply> {
  const key = request.after(PREFIX);
  if (request.rawQuery === '') return getOne(request, key);
  const { query } = request;
  if (query.has('keys')) {
    const separator = query.get('separator') || query.text('seperator');
    const render = key === '' ? rendered : renderedOrMiss;
    return serveRead(request, kvListKeys, { prefix: key, separator }, KV_READ, render);
  }
  if (query.has('recurse')) return serveRead(request, kvList, { prefix: key }, KV_READ, renderedOrMiss);
  return query.has('raw') ? getRaw(request, key) : getOne(request, key);
}

function getOne(request: HttpRequest, key: string): Promise<Reply> {
  if (key === '') requiredPart(request, PREFIX, 'Missing key name');
  return serveRead(request, kvGet, { key }, KV_READ, renderedOrMiss);
}

function getRaw(request: HttpRequest, key: string): Promise<Reply> {
  if (key === '') requiredPart(request, PREFIX, 'Missing key name');
  return serveValue(request, kvGet, { key }, KV_READ, rawReply);
}

function rawReply(entries: readonly KvEntry[], headers: readonly string[]): Reply {
  const entry = entries[0];
  if (entry === undefined) return { ...NOT_FOUND, headers };
  const body = Buffer.from(entry.Value ?? '', 'base64');
  const type = body.length === 0 ? [] : ['Content-Type', rawValueType(body)];
  const guards = ['X-Content-Type-Options', 'nosniff', 'Content-Security-Policy', 'sandbox'];
  return { status: 200, headers: [...type, ...headers, ...guards], body };
}

function rendered(reply: JsonReply, headers: readonly string[]): Reply {
  return rawJsonReply(reply.body, headers);
}

function renderedOrMiss(reply: JsonReply, headers: readonly string[]): Reply {
  return reply.isEmpty ? { ...NOT_FOUND, headers } : rawJsonReply(reply.body, headers);
}

async function put(request: HttpRequest): Promise<Reply> {
  const key = requiredPart(request, PREFIX, 'Missing key name');
  refuseConflicts(request, ['cas', 'acquire', 'release']);
  const plan = putPlan(request);
  const limit = request.context.config.kvMaxValueSize;
  const value = await request.body(limit, (announced) => tooLargeText(announced, limit));
  return apply(request, { ...NO_EFFECT, ...plan, key, value });
}

async function remove(request: HttpRequest): Promise<Reply> {
  const { query } = request;
  const key = request.after(PREFIX);
  if (query.has('recurse')) {
    refuseConflicts(request, ['recurse', 'cas']);
    return apply(request, { ...NO_EFFECT, verb: 'delete-tree', key });
  }
  if (key === '') throw badRequest('Missing key name');
  const cas = query.get('cas');
  if (cas === undefined) return apply(request, { ...NO_EFFECT, verb: 'delete', key });
  return apply(request, { ...NO_EFFECT, verb: 'delete-cas', key, index: parseGoUint(cas) });
}

const NO_EFFECT: KvApplyArgs = {
  verb: 'set',
  key: '',
  value: new Uint8Array(0),
  flags: 0,
  index: 0,
  session: '',
};

async function apply(request: HttpRequest, args: KvApplyArgs): Promise<Reply> {
  const { backend } = request.context.dependencies;
  return booleanReply(await backend.write(kvApply, args, callOptions(request)), request.isPretty);
}

function putPlan(request: HttpRequest): Partial<KvApplyArgs> {
  if (request.rawQuery === '') return {};
  const { query } = request;
  const flags = query.get('flags');
  const plan: { flags: Uint64; verb: KvVerb } = {
    flags: flags === undefined ? 0 : parseGoUint(flags),
    verb: 'set',
  };
  const cas = query.get('cas');
  if (cas !== undefined) return { ...plan, verb: 'cas', index: parseGoUint(cas) };
  const acquire = query.get('acquire');
  if (acquire !== undefined) return { ...plan, verb: 'lock', session: acquire };
  const release = query.get('release');
  if (release !== undefined) return { ...plan, verb: 'unlock', session: release };
  return plan;
}

/** @throws ConsulError 400 naming the whole query when two of the keys are there */
function refuseConflicts(request: HttpRequest, keys: readonly string[]): void {
  if (request.rawQuery === '') return;
  if (keys.filter((key) => request.query.has(key)).length > 1)
    throw badRequest(`Conflicting flags: ${request.query.encode()}`);
}

function tooLargeText(announced: number | undefined, limit: number): string {
  const length = announced === undefined ? ' ' : `(${announced} bytes) `;
  return `Request body${length}too large, max size: ${limit} bytes. See https://www.consul.io/docs/agent/options.html#kv_max_value_size.`;
}
