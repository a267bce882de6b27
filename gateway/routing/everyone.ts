/** Calls that concern all agents: lists are merged, instructions go to each. */

import { type Answer, EMPTY, isWhole, textAnswer, withoutHeaders } from '../exchange/exchange.ts';
import type { Incoming } from '../proxy/forward.ts';
import { queryValue, splitTarget } from '../proxy/target.ts';
import type { NodePool, PoolNode } from '../upstream/node-pool.ts';
import { type AgentText, mergeHealth, mergeHealthWords, mergeObjects } from './merge.ts';
import { liveAgents, mapBounded, nameOf } from './owners.ts';
import { LOCAL_ANSWER_MS, type SendToAgent } from './send-to-agent.ts';

export interface AskEveryone {
  /** One list out of those of all live agents. An agent that fails to answer is left out and named in a header. */
  merge(of: 'services' | 'checks' | 'health-by-name', incoming: Incoming): Promise<Answer>;
  /** The first refusal, else the first answer. Agents that can't be reached are named in a header. */
  tell(incoming: Incoming): Promise<Answer>;
}

export interface AskEveryoneOptions {
  readonly pool: NodePool;
  readonly sendTo: SendToAgent;
  readonly nowMs: () => number;
}

/** Names the live agents whose part is missing. */
const MISSING_HEADER = 'X-Proconsul-Missing-Agents';

const PARALLEL = 64;

/** Merged texts are of another length, and no longer compressed. */
const REFRAMED: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'x-consul-reason']);

interface Part {
  readonly node: PoolNode;
  /** undefined: it could not be reached. */
  readonly answer: Answer | undefined;
}

export function createAskEveryone({ pool, sendTo, nowMs }: AskEveryoneOptions): AskEveryone {
  const askAll = (incoming: Incoming): Promise<Part[]> =>
    mapBounded(liveAgents(pool, nowMs()), PARALLEL, async (node) => ({
      node,
      // Being unreachable is an answer too: the caller learns it from the header.
      answer: await sendTo(node, incoming, LOCAL_ANSWER_MS).catch(() => undefined),
    }));
  return {
    merge: async (of, incoming) => {
      const headers = withoutHeaders(incoming.headers, new Set(['accept-encoding']));
      const parts = await askAll({ ...incoming, headers });
      const refusal = parts.find(
        ({ answer }) => answer !== undefined && isRefusal(of, answer.status),
      )?.answer;
      const merged = refusal ?? mergeParts(of, incoming, parts);
      return withMissing(merged ?? parts.find(({ answer }) => answer !== undefined)?.answer, parts);
    },
    tell: async (incoming) => {
      const parts = await askAll(incoming);
      const answers = parts.flatMap(({ answer }) => (answer === undefined ? [] : [answer]));
      return withMissing(answers.find(({ status }) => status !== 200) ?? answers[0], parts);
    },
  };
}

/** Statuses that a list never has: bad filter, missing permission. Health by name uses several statuses as values. */
function isRefusal(of: string, status: number): boolean {
  return of === 'health-by-name' ? ![200, 404, 429, 503].includes(status) : status !== 200;
}

function mergeParts(of: string, incoming: Incoming, parts: readonly Part[]): Answer | undefined {
  const texts: AgentText[] = parts.flatMap(({ node, answer }) =>
    answer === undefined ? [] : [{ agent: nameOf(node), status: answer.status, text: textOf(answer) }],
  );
  const sample = parts.find(({ answer }) => answer !== undefined && answer.status !== 404)?.answer;
  if (sample === undefined) return undefined;
  const headers = withoutHeaders(sample.headers, REFRAMED);
  if (of !== 'health-by-name') {
    const text = mergeObjects(texts);
    return text === undefined ? undefined : { status: 200, headers, body: encode(text) };
  }
  const health = wantsWords(incoming) ? mergeHealthWords(texts) : mergeHealth(texts);
  if (health === undefined) return undefined;
  const body = encode('text' in health && typeof health.text === 'string' ? health.text : health.reason);
  return { status: health.status, headers: [...headers, 'X-Consul-Reason', health.reason], body };
}

/** Text mode of the health endpoints (reference §4.10). */
function wantsWords({ target, headers }: Incoming): boolean {
  if (queryValue(splitTarget(target).query, 'format') === 'text') return true;
  const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'accept');
  return at !== -1 && (headers[at + 1] ?? '').startsWith('text/plain');
}

function withMissing(answer: Answer | undefined, parts: readonly Part[]): Answer {
  if (answer === undefined)
    return textAnswer(
      503,
      'No Consul agent could be reached through this gateway. Check that the agents run and that GATEWAY_NODES (-nodes) names at least one of them.',
    );
  const missing = parts.filter((part) => part.answer === undefined).map(({ node }) => nameOf(node));
  if (missing.length === 0) return answer;
  return { ...answer, headers: [...answer.headers, MISSING_HEADER, missing.join(',')] };
}

function textOf(answer: Answer): string {
  return new TextDecoder().decode(isWhole(answer) ? answer.body : EMPTY);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
