/** `GET /v1/prometheus/sd`: targets for Prometheus' `http_sd_configs`, from views that cost the pool one watch a service. */

import { ConsulError } from '../../shared/errors.ts';
import { renderJson } from '../../shared/json.ts';
import type { HealthEntry } from '../../shared/types/v1.ts';
import { type Answer, type HeaderList, isWhole, textAnswer, type WholeAnswer } from '../exchange/exchange.ts';
import { splitTarget } from '../proxy/target.ts';
import { isRecord, parseJson } from '../upstream/pool-listing.ts';
import { targetsOf } from './targets.ts';

/** Reads from a view that is kept for as long as scrapes come, or from an agent. */
export type ReadHeld = (target: string, headers: HeaderList, idleMs: number) => Promise<Answer>;

export type ServiceDiscovery = (request: {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
}) => Promise<Answer>;

/** Prometheus asks once a minute unless told otherwise. */
const IDLE_MS = 300_000;
/** Reads under way for one scrape. */
const CONCURRENCY = 32;
const MAX_SERVICES = 20_000;
const CREDENTIALS: ReadonlySet<string> = new Set(['x-consul-token', 'authorization', 'x-consul-namespace']);

interface Selection {
  /** undefined: all. */
  readonly services: readonly string[] | undefined;
  readonly tags: readonly string[];
  readonly datacenter: string;
  readonly separator: string;
  /** Of the read of one service's instances, without the question mark. */
  readonly instanceQuery: string;
  readonly catalogQuery: string;
}

export function createServiceDiscovery(read: ReadHeld): ServiceDiscovery {
  /** What was made of a body, for as long as a view keeps that body. */
  const rendered = new WeakMap<Uint8Array, Map<string, string>>();

  const targetsText = async (service: string, selection: Selection, headers: HeaderList): Promise<string> => {
    const target = `/v1/health/service/${encodeURIComponent(service)}?${selection.instanceQuery}`;
    const { body } = expectGood(await read(target, headers, IDLE_MS));
    const known = rendered.get(body) ?? new Map<string, string>();
    rendered.set(body, known);
    const key = `${service}\n${selection.datacenter}\n${selection.separator}`;
    const found = known.get(key) ?? renderTargets(service, body, selection);
    if (known.size < 16) known.set(key, found);
    return found;
  };

  return async ({ method, target, headers }) => {
    if (method !== 'GET' && method !== 'HEAD') return textAnswer(405, `method ${method} not allowed`);
    const selection = parseSelection(splitTarget(target).query);
    const sent = credentialsOf(headers);
    try {
      const catalog = () => read(`/v1/catalog/services?${selection.catalogQuery}`, sent, IDLE_MS);
      const services = selection.services ?? servicesOf(expectGood(await catalog()), selection.tags);
      const texts = await inParallel(services, (service) => targetsText(service, selection, sent));
      const body = new TextEncoder().encode(`[${texts.filter((text) => text !== '').join(',')}]`);
      return { status: 200, headers: ['Content-Type', 'application/json'], body };
    } catch (error) {
      if (error instanceof AnsweredOtherwise) return error.answer;
      throw error;
    }
  };
}

function parseSelection(query: string): Selection {
  const parameters = new URLSearchParams(query);
  const services = parameters.getAll('service').filter((name) => name !== '');
  const tags = parameters.getAll('tag').filter((tag) => tag !== '');
  const common = ['stale', ...pairsOf(parameters, ['dc', 'ns', 'token', 'node-meta'])];
  for (const pair of parameters.getAll('node_meta')) common.push(`node-meta=${encodeURIComponent(pair)}`);
  const passing = parameters.get('passing');
  const isPassing = passing !== null && !/^(?:0|f|false)$/i.test(passing);
  const instances = [...common, ...pairsOf(parameters, ['tag', 'filter']), ...(isPassing ? ['passing'] : [])];
  return {
    services: services.length === 0 ? undefined : [...new Set(services)].sort(),
    tags,
    datacenter: parameters.get('dc') ?? '',
    separator: parameters.get('tag_separator') || ',',
    instanceQuery: instances.join('&'),
    catalogQuery: common.join('&'),
  };
}

function pairsOf(parameters: URLSearchParams, names: readonly string[]): string[] {
  return names.flatMap((name) =>
    parameters
      .getAll(name)
      .filter((value) => value !== '')
      .map((value) => `${name}=${encodeURIComponent(value)}`),
  );
}

/** Services that have all the tags somewhere; which instances have them, their own reads tell. */
function servicesOf({ body }: WholeAnswer, tags: readonly string[]): readonly string[] {
  const parsed = parseJson(new TextDecoder().decode(body));
  if (!isRecord(parsed))
    throw new AnsweredOtherwise(textAnswer(502, "The agent's list of services is no JSON."));
  const names = Object.keys(parsed).filter((name) => {
    const own = parsed[name];
    return tags.every((tag) => Array.isArray(own) && own.includes(tag));
  });
  if (names.length > MAX_SERVICES)
    throw new ConsulError(
      'too-large',
      400,
      `There are ${names.length} services: name those that you want (service=…).`,
    );
  return names.sort();
}

function renderTargets(service: string, body: Uint8Array, { datacenter, separator }: Selection): string {
  const parsed = parseJson(new TextDecoder().decode(body));
  // Agents are trusted to send the shapes of the reference; only whether it is a list is checked.
  const entries = Array.isArray(parsed) ? (parsed as readonly HealthEntry[]) : [];
  return renderJson(targetsOf(service, entries, datacenter, separator), false).slice(1, -1);
}

/** An answer that isn't what was asked for: the caller gets it in place of targets, so that it keeps those it has. */
class AnsweredOtherwise extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super(`status ${answer.status}`);
    this.answer = answer;
  }
}

function expectGood(answer: Answer): WholeAnswer {
  if (!isWhole(answer)) {
    answer.body.cancel().catch(() => undefined);
    throw new ConsulError(
      'too-large',
      500,
      'An answer was longer than GATEWAY_ANSWER_LIMIT (-answer-limit).',
    );
  }
  if (answer.status !== 200) throw new AnsweredOtherwise(answer);
  return answer;
}

function credentialsOf(headers: HeaderList): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (CREDENTIALS.has(name.toLowerCase())) kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

/** Results in the order of the items; the first failure is that of the whole. */
async function inParallel<T, R>(items: readonly T[], each: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await each(items[at] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker));
  return results;
}
