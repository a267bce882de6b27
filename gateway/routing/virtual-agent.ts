/** All agents as one: `/v1/agent/*` finds the agent that a service or check lives on, or asks all and merges. */

import { type Clock, type Random, sleep } from '../../shared/env.ts';
import { ConsulError } from '../../shared/errors.ts';
import { type Answer, EMPTY, headerOf, textAnswer } from '../exchange/exchange.ts';
import { errorText } from '../proxy/error-text.ts';
import type { Forward, Incoming } from '../proxy/forward.ts';
import { splitTarget } from '../proxy/target.ts';
import type { NodePool, PoolNode } from '../upstream/node-pool.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';
import type { DeadEntries } from './dead-entries.ts';
import type { AskEveryone } from './everyone.ts';
import { firstValue, goField } from './json-members.ts';
import type { Asker, OwnedKind, Owners } from './owners.ts';
import type { SendToAgent } from './send-to-agent.ts';

export interface VirtualAgentOptions {
  readonly pool: NodePool;
  readonly owners: Owners;
  readonly everyone: AskEveryone;
  readonly deadEntries: DeadEntries;
  readonly sendTo: SendToAgent;
  /** For what any one agent may answer. */
  readonly forward: Forward;
  readonly retryDeadlineMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Names one agent for a call that would otherwise find its own. */
export const NODE_HEADER = 'x-proconsul-node';

/** Tells an agent that the service belongs to the cluster: only gateways say so, whatever their clients send. */
export const FLOATING_HEADER = 'X-Proconsul-Floating';

/** Doubling from attempt to attempt. */
const RETRY_PAUSE_MS = 100;
const RETRY_PAUSE_MAX_MS = 800;

const LEAVE_REFUSED =
  'This gateway stands for all agents at once, so it does not know which of them should leave. Ask the agent itself, or name it in the header X-Proconsul-Node.';

/** What isn't kept can't be read for its ID, nor be sent to several agents. */
const TOO_LARGE = textAnswer(
  413,
  'The request body is larger than this gateway keeps. Raise GATEWAY_BODY_LIMIT (-body-limit).',
);

export function createVirtualAgent(options: VirtualAgentOptions): Forward {
  return (incoming) => {
    const { path, query } = splitTarget(incoming.target);
    const route = agentRoute(incoming.method, path ?? '');
    if (incoming.body.kind === 'stream' && route.kind !== 'one') return Promise.resolve(TOO_LARGE);
    const asker: Asker = { headers: incoming.headers, token: tokenPair(query) };
    return answer(route, { incoming, asker, options });
  };
}

/** One agent that the caller named. */
export function createNamedAgent({ pool, sendTo }: Pick<VirtualAgentOptions, 'pool' | 'sendTo'>) {
  return (name: string, incoming: Incoming): Promise<Answer> => {
    const node = pool.byName(name);
    if (node !== undefined) return sendTo(node, incoming);
    return Promise.resolve(textAnswer(404, `No agent named ${JSON.stringify(name)} is in the pool.`));
  };
}

/** One call to the virtual agent, with what is needed to serve it. */
interface Call {
  readonly incoming: Incoming;
  readonly asker: Asker;
  readonly options: VirtualAgentOptions;
}

async function answer(route: AgentRoute, call: Call): Promise<Answer> {
  const { incoming, options } = call;
  switch (route.kind) {
    case 'register-service':
      return registerService(call);
    case 'register-check':
      return registerCheck(call);
    case 'service':
    case 'check':
      return route.isBlind
        ? removeEverywhere(route.kind, route.id, call)
        : askOwner(route.kind, route.id, call);
    case 'merge':
      return options.everyone.merge(route.of, incoming);
    case 'every':
      return options.everyone.tell(incoming);
    case 'refuse':
      return textAnswer(403, LEAVE_REFUSED);
    case 'one':
      return options.forward(incoming);
  }
}

/**
 * A service that some live agent has is registered there again, wherever the hash points by now; a new one, or one
 * whose carrier is dead, goes to the owner that the hash chooses.
 */
function registerService(call: Call): Promise<Answer> {
  const body = bodyValue(call.incoming);
  const id = textField(body, 'ID') || textField(body, 'Name');
  return id === '' ? call.options.forward(call.incoming) : atOwner('service', id, floating(call));
}

/** A check of a service lives with it; one of its own where it already is, else where the hash of its ID says. */
function registerCheck(call: Call): Promise<Answer> {
  const body = bodyValue(call.incoming);
  const serviceId = textField(body, 'ServiceID') || textField(body, 'service_id');
  if (serviceId !== '') return askOwner('service', serviceId, call);
  const checkId = textField(body, 'ID') || textField(body, 'Name');
  return checkId === '' ? call.options.forward(call.incoming) : atOwner('check', checkId, call);
}

/**
 * Sends to the agent that has it, else to the chosen one; to the next when an agent dies before it got the request.
 * What a dead agent had under the same ID goes: there is one virtual agent, and it has each ID once.
 */
function atOwner(kind: OwnedKind, id: string, call: Call): Promise<Answer> {
  const { incoming, asker, options } = call;
  const { owners, deadEntries, sendTo, forward } = options;
  return untilReached(call, async () => {
    const found = await owners.locate(kind, id, asker);
    const node = found === undefined || found === 'away' ? owners.chosen(id) : found;
    if (node === undefined) return forward(incoming);
    const result = await sendTo(node, incoming);
    if (result.status !== 200) return result;
    owners.remember(kind, id, node);
    // The registration stands whatever becomes of the old entry, which the next one will find again.
    await deadEntries.remove(kind, id, asker).catch(() => undefined);
    return result;
  });
}

/**
 * The remembered owner is believed until its answer shows that it doesn't know the ID; then whoever carries it is
 * asked, or everyone. What is on its way from a dead agent to the next is waited for.
 */
function askOwner(kind: OwnedKind, id: string, call: Call): Promise<Answer> {
  const { incoming, asker, options } = call;
  const { owners, sendTo, forward } = options;
  return untilReached(call, async () => {
    const known = owners.remembered(kind, id) ?? guessByService(kind, id, owners);
    if (known !== undefined) {
      const result = await sendTo(known, incoming);
      if (!(await isUnknownThere(result))) return result;
      owners.forget(kind, id);
    }
    const carrier = await owners.placed(kind, id, asker);
    if (carrier !== undefined) return askCarrier(kind, id, carrier, call);
    const [found] = await owners.locateAll(kind, id, asker);
    const node = found ?? known ?? owners.chosen(id);
    return node === undefined ? forward(incoming) : sendTo(node, incoming);
  });
}

/** @throws ConsulError for `untilReached` while the carrier is dead or hasn't heard yet what it carries */
async function askCarrier(
  kind: OwnedKind,
  id: string,
  carrier: PoolNode | 'away',
  { incoming, asker, options }: Call,
): Promise<Answer> {
  if (carrier === 'away') throw onItsWay(kind, id);
  const { owners, sendTo } = options;
  const first = await sendTo(carrier, incoming);
  const isKnown = !(await isUnknownThere(first));
  if (!isKnown && !(await owners.has(carrier, kind, id, asker))) throw onItsWay(kind, id);
  owners.remember(kind, id, carrier);
  // It has it by now; should it still have no use for this call, then that is its answer.
  return isKnown ? first : sendTo(carrier, incoming);
}

function onItsWay(kind: OwnedKind, id: string): ConsulError {
  const text = `The agent of ${kind} ${JSON.stringify(id)} is gone, and no other has taken it over yet.`;
  return new ConsulError('timeout', 503, text, { applied: 'no' });
}

/**
 * Nothing may be left behind: every agent that has it removes it, one of them the placement wherever it is, and so does
 * the catalog for agents that died. When none has it, the chosen one gives its answer.
 */
function removeEverywhere(kind: OwnedKind, id: string, call: Call): Promise<Answer> {
  const { incoming, asker, options } = kind === 'service' ? floating(call) : call;
  const { owners, deadEntries, sendTo, forward } = options;
  return untilReached(call, async () => {
    const found = await owners.locateAll(kind, id, asker);
    if (found.length === 0 && kind === 'check' && (await owners.placed(kind, id, asker)) !== undefined)
      throw onItsWay(kind, id);
    const chosen = found.length === 0 ? owners.chosen(id) : undefined;
    const nodes = chosen === undefined ? found : [chosen];
    const answers = await Promise.all(nodes.map((node) => sendTo(node, incoming)));
    const removed = await deadEntries.remove(kind, id, asker);
    owners.forget(kind, id);
    const all = [...answers, ...removed.map(asAgentAnswer)];
    return all.find(({ status }) => status !== 200) ?? all[0] ?? forward(incoming);
  });
}

function floating(call: Call): Call {
  const { incoming } = call;
  return { ...call, incoming: { ...incoming, headers: [...incoming.headers, FLOATING_HEADER, '1'] } };
}

/** An agent says nothing when it has deregistered something; the catalog says `true`. */
function asAgentAnswer(answer: Answer): Answer {
  return answer.status === 200 ? { status: 200, headers: ['Vary', 'Accept-Encoding'], body: EMPTY } : answer;
}

/**
 * Starts over while the agent chosen could certainly not be reached: by then the pool knows that it is gone, and the
 * search finds another.
 */
async function untilReached({ incoming, options }: Call, attempt: () => Promise<Answer>): Promise<Answer> {
  const { clock, random, retryDeadlineMs } = options;
  const deadlineMs = clock.monotonicMs() + retryDeadlineMs;
  for (let pauseMs = RETRY_PAUSE_MS; ; pauseMs = Math.min(RETRY_PAUSE_MAX_MS, 2 * pauseMs)) {
    try {
      return await attempt();
    } catch (error) {
      const mayRepeat =
        error instanceof ConsulError && (error.applied === 'no' || incoming.kind.replay === 'always');
      const isLate = clock.monotonicMs() >= deadlineMs || incoming.cancel.isCancelled;
      if (!mayRepeat || isLate || incoming.body.kind === 'stream') throw error;
      await sleep(clock, pauseMs * (0.5 + random.next()));
    }
  }
}

/** A check that a service brought along is named after it (reference §4.9) and lives where the service does. */
function guessByService(kind: OwnedKind, id: string, owners: Owners): PoolNode | undefined {
  const serviceId = kind === 'check' ? /^service:(.*?)(?::\d+)?$/s.exec(id)?.[1] : undefined;
  return serviceId === undefined ? undefined : owners.remembered('service', serviceId);
}

/** What an agent says about a service or check that it doesn't have. */
async function isUnknownThere(result: Answer): Promise<boolean> {
  if (result.status === 404) return true;
  if (result.status !== 500) return false;
  return /does not have associated TTL|Unknown (service|check)|^ServiceID .* does not exist/.test(
    await errorText(result),
  );
}

function bodyValue({ body }: Incoming): unknown {
  return body.kind === 'bytes' ? firstValue(new TextDecoder().decode(body.bytes)) : undefined;
}

function textField(body: unknown, name: string): string {
  const value = goField(body, name);
  return typeof value === 'string' ? value : '';
}

/** The `token` pair of a query as it stands. */
function tokenPair(query: string): string {
  return query.split('&').find((pair) => pair.startsWith('token=')) ?? '';
}

/** The agent that a request names, if it names one. */
export function namedAgent(headers: readonly string[]): string | undefined {
  return headerOf(headers, NODE_HEADER);
}
