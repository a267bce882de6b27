/** What a stream of changes is about: the topics that a query names, each with the read that is followed for it. */

import { badRequest } from '../../shared/errors.ts';
import { parseUint64Json } from '../../shared/uint64-json.ts';
import { splitTarget } from '../proxy/target.ts';
import { isRecord } from '../upstream/pool-listing.ts';

export type TopicKind = 'service' | 'health' | 'kv' | 'services';

export interface Topic {
  /** As events name it: `service:web`, `health:web`, `kv:app/`, `services`. */
  readonly name: string;
  readonly kind: TopicKind;
  /** The read that is followed. */
  readonly target: string;
}

/** One thing that can change. */
export interface Entry {
  /** Unique in its topic: `node/service ID`, a key, a service's name. */
  readonly key: string;
  /** As the API gives it. */
  readonly value: unknown;
}

const MAX_TOPICS = 100;
/** Characters. Topics are kept under their names. */
const MAX_QUERY = 16_384;

/** Parameters that every topic takes, and those that only lists of instances take. */
const COMMON = ['dc', 'ns', 'stale', 'consistent', 'token'];
const INSTANCES = [...COMMON, 'filter', 'node-meta', 'tag'];

/**
 * @param query raw, without the question mark
 * @returns in an order that doesn't depend on that of the parameters, each topic once
 * @throws ConsulError 400 when no topic is named, too many are, or one can't be
 */
export function parseTopics(query: string): readonly Topic[] {
  if (query.length > MAX_QUERY) throw badRequest(`The query is longer than ${MAX_QUERY} characters.`);
  const parameters = new URLSearchParams(query);
  const topics = new Map<string, Topic>();
  const add = (topic: Topic) => {
    if (splitTarget(topic.target).path === undefined)
      throw badRequest(`${topic.name} can't be watched: a path with //, . or .. means another one.`);
    topics.set(topic.name, topic);
  };
  for (const name of parameters.getAll('service'))
    add(topicOf('service', named(name), `/v1/catalog/service/${encodeURIComponent(name)}`, parameters));
  for (const name of parameters.getAll('health'))
    add(topicOf('health', named(name), `/v1/health/service/${encodeURIComponent(name)}`, parameters));
  for (const prefix of parameters.getAll('kv'))
    add(topicOf('kv', prefix, `/v1/kv/${prefix.split('/').map(encodeURIComponent).join('/')}`, parameters));
  if (parameters.has('services')) add(topicOf('services', undefined, '/v1/catalog/services', parameters));
  if (topics.size === 0)
    throw badRequest(
      'Name what to watch: service=NAME, health=NAME, kv=PREFIX (each more than once if needed), services.',
    );
  if (topics.size > MAX_TOPICS)
    throw badRequest(`At most ${MAX_TOPICS} topics can be watched by one stream.`);
  return [...topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function named(name: string): string {
  if (name === '') throw badRequest('Missing service name');
  return name;
}

function topicOf(
  kind: TopicKind,
  name: string | undefined,
  path: string,
  parameters: URLSearchParams,
): Topic {
  const passed = kind === 'service' || kind === 'health' ? INSTANCES : COMMON;
  const pairs: string[] = [];
  for (const [key, value] of parameters)
    if (passed.includes(key)) pairs.push(value === '' ? key : `${key}=${encodeURIComponent(value)}`);
  if (kind === 'health' && isSet(parameters.get('passing'))) pairs.push('passing');
  if (kind === 'kv') pairs.push('recurse');
  const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
  return { name: name === undefined ? kind : `${kind}:${name}`, kind, target };
}

/** `passing` counts without a value and with one that says yes. */
function isSet(value: string | null): boolean {
  return value !== null && !/^(?:0|f|false)$/i.test(value);
}

/** The entries of an answer. @throws SyntaxError when it is no JSON; what doesn't look like an entry is left out */
export function entriesOf(kind: TopicKind, body: Uint8Array): Entry[] {
  if (body.length === 0) return [];
  const parsed = parseUint64Json(new TextDecoder().decode(body));
  if (kind === 'services')
    return isRecord(parsed) ? Object.entries(parsed).map(([key, value]) => ({ key, value })) : [];
  if (!Array.isArray(parsed)) return [];
  return parsed.flatMap((value: unknown) => {
    const key = isRecord(value) ? keyOf(kind, value) : undefined;
    return key === undefined ? [] : [{ key, value }];
  });
}

function keyOf(kind: TopicKind, value: Record<string, unknown>): string | undefined {
  if (kind === 'kv') return typeof value.Key === 'string' ? value.Key : undefined;
  if (kind === 'service') return `${String(value.Node)}/${String(value.ServiceID)}`;
  const { Node: node, Service: service } = value;
  return isRecord(node) && isRecord(service) ? `${String(node.Node)}/${String(service.ID)}` : undefined;
}
