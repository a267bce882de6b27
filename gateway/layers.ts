/** Builds the gateway's layers, inside out: transport, pool, retries, sharing, the virtual agent, one answer. */

import type { Env } from '../shared/env.ts';
import { ConsulError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { UiFiles } from '../shared/ui-bundle.ts';
import type { LineSink } from './access/access-log.ts';
import { createLastKnownGood } from './cache/last-known-good.ts';
import type { SharedState } from './cache/shared-state.ts';
import { type Changes, createChanges } from './changes/changes.ts';
import { createCollapse } from './collapse/collapse.ts';
import { NEVER_CANCELLED } from './collapse/interest.ts';
import { createWatchFanOut } from './collapse/watch.ts';
import { type AnswerDoh, createDoh } from './doh/doh.ts';
import {
  type Answer,
  type Exchange,
  isWhole,
  NO_BODY,
  type OpenExchange,
  type RequestBody,
  textAnswer,
  withoutHeaders,
} from './exchange/exchange.ts';
import type { SharedBuckets } from './limits/limiter.ts';
import { type Counters, createCounters } from './operations/counters.ts';
import { createServiceDiscovery } from './prometheus/service-discovery.ts';
import { ClientPresence } from './proxy/client-presence.ts';
import { createStopping, endingEarly } from './proxy/early-end.ts';
import { createForward, type Forward, type Incoming } from './proxy/forward.ts';
import { requestHeaders } from './proxy/headers.ts';
import { splitTarget } from './proxy/target.ts';
import { isAgentPath } from './routing/agent-route.ts';
import { classify } from './routing/classify.ts';
import { createDeadEntries } from './routing/dead-entries.ts';
import { createAskEveryone } from './routing/everyone.ts';
import { type AskAgent, createOwners } from './routing/owners.ts';
import { createPlacements } from './routing/placements.ts';
import { createSendToAgent, LOCAL_ANSWER_MS, type SendToAgent } from './routing/send-to-agent.ts';
import { createNamedAgent, createVirtualAgent, namedAgent } from './routing/virtual-agent.ts';
import type { GatewaySettings } from './settings/settings.ts';
import { createTracing, tracedTransport, untraced } from './telemetry/tracing.ts';
import { NodePool, type PoolNode } from './upstream/node-pool.ts';
import { createPoolPoller, type PoolPoller } from './upstream/pool-poller.ts';
import { createRetryBudget } from './upstream/retry-budget.ts';
import { createSend, type Send } from './upstream/send.ts';
import type { Transport } from './upstream/transport.ts';
import type { AskPool } from './views/follow.ts';
import { minIndexOf, readAtLeast } from './views/min-index.ts';
import { createViews, type Views } from './views/views.ts';
import { createWriteOnce, openThrough } from './writes/write-once.ts';
import { createWriteSessions } from './writes/write-sessions.ts';

export interface GatewayOptions {
  readonly settings: GatewaySettings;
  readonly transport: Transport;
  readonly sharedState: SharedState;
  /** Rate limits that several gateways keep together; without it each keeps its own. */
  readonly sharedBuckets?: SharedBuckets | undefined;
  /** Where the access log goes, if the settings ask for one. */
  readonly accessLines?: LineSink | undefined;
  /** Told in the metrics, where there is a Redis. */
  readonly redis?: { isDegraded(): boolean } | undefined;
  readonly openExchange: OpenExchange;
  /** False where a request may not wait for another request's work, nor have timers outlive it (Workers). */
  readonly sharesWork: boolean;
  readonly env: Env;
  readonly logger: Logger;
  /** The gateway's own copy of the web UI. Without it `/` and `/ui/` are the agents', like everything else. */
  readonly ui?: UiFiles | undefined;
}

export interface Layers {
  readonly pool: NodePool;
  readonly poller: PoolPoller;
  readonly counters: Counters;
  /** Answers one request of a client. Rejects only for what is a defect. */
  readonly answer: (exchange: Exchange) => Promise<Answer>;
  readonly doh: AnswerDoh;
  readonly views: Views;
  /** Answers `/v1/watch`. */
  readonly watchChanges: (exchange: Exchange) => Promise<Answer>;
  readonly changes: Changes;
  /** Answers `/v1/prometheus/sd`. */
  readonly discoverTargets: (exchange: Exchange) => Promise<Answer>;
  /** Looks the pool up first, where nobody has yet or nothing does so in the background. */
  readonly freshen: () => Promise<void> | undefined;
  /** From now on blocking queries are answered at once, those under way included. */
  readonly endWaits: () => void;
}

const MAX_FOLLOWED_TOPICS = 10_000;
/** Clients that lost their connection are back by then. */
const CHANGES_LINGER_MS = 120_000;
const MAX_REMEMBERED_OWNERS = 50_000;
/** Workers may send 50 requests for one: each attempt may take a question about the pool with it. */
const MAX_ATTEMPTS_COUNTED = 20;

export function buildLayers(options: GatewayOptions): Layers {
  const counters = createCounters();
  const { pool, poller, send, ownSend } = buildUpstream(options, counters);
  const forward = buildForward(options, send, ownSend, counters);
  const sendTo = createSendToAgent({ send, settings: options.settings, clock: options.env.clock });
  const views = buildViews(options, pool, forward, counters);
  const read = createViewedForward(forward, views);
  const virtualAgent = buildVirtualAgent(options, pool, sendTo, forward);
  const named = createNamedAgent({ pool, sendTo });
  const traced = options.settings.telemetryEndpoint === '' ? untraced : createTracing();
  const freshen = () => {
    const limitMs = options.sharesWork ? Number.MAX_VALUE : options.settings.pollMs;
    return poller.ageMs() > limitMs ? poller.refresh() : undefined;
  };

  const stopping = createStopping();
  const route = (incoming: Incoming, name: string | undefined): Promise<Answer> => {
    const isForAgent = isAgentPath(splitTarget(incoming.target).path);
    const way = !isForAgent
      ? read
      : name === undefined
        ? virtualAgent
        : (agent: Incoming) => named(name, agent);
    return endingEarly(way, stopping)(incoming);
  };
  const kindOf = rememberingReads((method: string, target: string) => classify(method, splitTarget(target)));
  const answerWith = (exchange: Exchange, body: RequestBody): Promise<Answer> => {
    const { method, target } = exchange;
    const kind = kindOf(method, target);
    const cancel = new ClientPresence(exchange);
    const name = namedAgent(exchange.headers);
    const sent = requestHeaders(exchange.headers, exchange.clientAddress);
    const incoming = { method, target, headers: sent, body, kind, cancel };
    return traced(method, target, sent, () => route(incoming, name));
  };
  const prepare = async (exchange: Exchange, fresh: Promise<void> | undefined): Promise<Answer> => {
    await fresh;
    return answerWith(exchange, await bodyOf(exchange, options.settings.bodyLimitBytes));
  };
  // Most requests have all there is to wait for at once, and need no turn of their own for it.
  const answer = (exchange: Exchange): Promise<Answer> => {
    const fresh = freshen();
    const isReady = fresh === undefined && exchange.method === 'GET';
    try {
      return (isReady ? answerWith(exchange, NO_BODY) : prepare(exchange, fresh)).catch(asAnswer);
    } catch (error) {
      return new Promise((resolve) => resolve(asAnswer(error)));
    }
  };
  const changes = buildChanges(options, forward);
  const own = (answerIt: (exchange: Exchange) => Promise<Answer>) => async (exchange: Exchange) => {
    try {
      await freshen();
      return await answerIt(exchange);
    } catch (error) {
      if (error instanceof ConsulError) return textAnswer(error.status, error.message);
      throw error;
    }
  };
  // A stream may not use what another request began where work isn't shared.
  const watchChanges = own((exchange) =>
    (options.sharesWork ? changes : buildChanges(options, forward)).open(exchange),
  );
  const discoverTargets = own(
    createServiceDiscovery(async (target, headers, idleMs) => {
      const question = ownQuestion(target, headers);
      return (await views.hold(question, idleMs)) ?? forward(question);
    }),
  );
  const answerDoh = buildDoh(options, read);
  const doh: AnswerDoh = (request, clientAddress) => {
    if (traced === untraced) return answerDoh(request, clientAddress);
    const { pathname } = new URL(request.url);
    const headers = [...request.headers].flat();
    return traced(request.method, pathname, headers, () => answerDoh(request, clientAddress));
  };
  const endWaits = () => stopping.stop();
  const followed = { views, watchChanges, changes, discoverTargets };
  return { pool, poller, counters, answer, doh, ...followed, freshen, endWaits };
}

function buildUpstream(options: GatewayOptions, counters: Counters) {
  const { settings, transport, sharesWork, env, logger } = options;
  const { clock, random } = env;
  const { nodes: seeds, pollMs, retryDeadlineMs, maxWaits } = settings;
  const pool = new NodePool(seeds, random);
  const poolLogger = logger.named('pool');
  const poller = createPoolPoller({
    pool,
    transport,
    seeds,
    pollMs,
    sharesWork,
    clock,
    random,
    logger: poolLogger,
  });
  const budget = createRetryBudget();
  const sending = {
    pool,
    poller,
    transport,
    budget,
    retryDeadlineMs,
    maxWaits,
    hedges: sharesWork,
    maxAttempts: sharesWork ? Number.POSITIVE_INFINITY : MAX_ATTEMPTS_COUNTED,
    counters,
    clock,
    random,
  };
  // Polls and write sessions are nobody's request: only what clients asked for is traced.
  const ownSend = createSend(sending);
  const isTraced = settings.telemetryEndpoint !== '';
  const send = isTraced ? createSend({ ...sending, transport: tracedTransport(transport) }) : ownSend;
  return { pool, poller, send, ownSend };
}

function buildForward(
  { settings, sharedState, sharesWork, env }: GatewayOptions,
  send: Send,
  ownSend: Send,
  counters: Counters,
): Forward {
  const { clock } = env;
  // All that may be in progress may want the same.
  const maxCallers = settings.maxInFlight;
  const collapse = createCollapse({ maxCallers, onShared: () => counters.collapsed.add('read') });
  const watches = createWatchFanOut({ maxCallers, clock, onShared: () => counters.collapsed.add('watch') });
  const lastKnownGood = createLastKnownGood({ state: sharedState, keepMs: settings.staleKeepMs, clock });
  const sessions = createWriteSessions({ open: openThrough(ownSend), sharesWork, clock });
  const sendOnce = createWriteOnce(send, sessions);
  return createForward({ settings, send, sendOnce, collapse, watches, lastKnownGood, counters, clock });
}

function buildViews(
  { settings, sharesWork, env }: GatewayOptions,
  pool: NodePool,
  forward: Forward,
  counters: Counters,
): Views {
  const nowMs = () => env.clock.monotonicMs();
  return createViews({
    ask: askLive(forward),
    // Half of the waits that agents take stay with those who wait themselves.
    maxViews: () =>
      sharesWork
        ? Math.min(settings.maxViews, Math.floor(waitsOf(pool.usable(nowMs()), settings.maxWaits) / 2))
        : 0,
    maxBytes: settings.viewBytes,
    onHit: () => counters.views.add('hit'),
    ...env,
  });
}

function buildChanges({ settings, sharesWork, env }: GatewayOptions, forward: Forward): Changes {
  return createChanges({
    ask: askLive(forward),
    maxFeeds: MAX_FOLLOWED_TOPICS,
    maxBytes: settings.viewBytes,
    lingerMs: sharesWork ? CHANGES_LINGER_MS : 0,
    ...env,
  });
}

/** Reads that may be answered from a view are, if it knows as much as the caller says it has seen. */
function createViewedForward(forward: Forward, views: Views): Forward {
  const read: Forward = (incoming) => {
    const viewed = views.answer(incoming);
    return viewed === undefined ? forward(incoming) : Promise.resolve(viewed);
  };
  return (incoming) => {
    const minIndex = incoming.kind.isRead ? minIndexOf(incoming.headers) : undefined;
    return minIndex === undefined ? read(incoming) : readAtLeast(incoming, minIndex, read);
  };
}

/** Questions of the gateway's own for which a remembered answer won't do. */
function askLive(forward: Forward): AskPool {
  return (target, headers, cancel) => {
    const { kind, ...question } = ownQuestion(target, headers);
    return forward({ ...question, kind: { ...kind, maxStaleMs: undefined }, cancel });
  };
}

function buildVirtualAgent(
  { settings, env }: GatewayOptions,
  pool: NodePool,
  sendTo: SendToAgent,
  forward: Forward,
): Forward {
  const { clock, random } = env;
  const nowMs = () => clock.monotonicMs();
  const ask = askThrough(sendTo);
  const placements = createPlacements({ forward, nowMs });
  const owners = createOwners({ pool, ask, placements, nowMs, maxRemembered: MAX_REMEMBERED_OWNERS });
  const everyone = createAskEveryone({ pool, sendTo, nowMs });
  const { retryDeadlineMs } = settings;
  const deadEntries = createDeadEntries({ pool, forward });
  const parts = { pool, owners, everyone, deadEntries, sendTo, forward };
  return createVirtualAgent({ ...parts, retryDeadlineMs, clock, random });
}

function buildDoh({ settings, sharesWork, env, logger }: GatewayOptions, forward: Forward): AnswerDoh {
  return createDoh({
    read: async (target, headers) => {
      const answer = await forward(ownQuestion(target, headers));
      if (isWhole(answer)) return answer;
      void answer.body.cancel();
      throw new ConsulError('too-large', 500, `The answer to ${target} is larger than GATEWAY_ANSWER_LIMIT.`);
    },
    domain: settings.domain,
    datacenter: settings.datacenter,
    keepsResolvers: sharesWork,
    env,
    logger,
  });
}

function bodyOf(exchange: Exchange, limitBytes: number): RequestBody | Promise<RequestBody> {
  const { method } = exchange;
  return method === 'GET' || method === 'HEAD' ? NO_BODY : exchange.readBody(limitBytes);
}

/** @throws what is a defect */
function asAnswer(error: unknown): Answer {
  if (error instanceof ConsulError) return textAnswer(error.status, error.message);
  throw error;
}

const MAX_KNOWN_READS = 4096;
const MAX_KNOWN_TARGET = 256;

/** Hot reads are asked again and again, letter by letter. Two generations bound what is remembered. */
function rememberingReads<K>(classOf: (method: string, target: string) => K): typeof classOf {
  let young = new Map<string, K>();
  let old = young;
  return (method, target) => {
    if (method !== 'GET' || target.length > MAX_KNOWN_TARGET) return classOf(method, target);
    const known = young.get(target);
    if (known !== undefined) return known;
    const kind = old.get(target) ?? classOf(method, target);
    if (young.size >= MAX_KNOWN_READS / 2) {
      old = young;
      young = new Map();
    }
    young.set(target, kind);
    return kind;
  };
}

/** How many waits these agents take, over a multiplexed connection or a connection each. */
function waitsOf(nodes: readonly PoolNode[], maxWaits: number): number {
  return nodes.reduce((sum, node) => sum + Math.max(maxWaits, node.multiplexedWaits), 0);
}

const COMPRESSION: ReadonlySet<string> = new Set(['accept-encoding']);

/** Lookups of the gateway's own, with the caller's token: undefined when the agent can't be reached. */
function askThrough(sendTo: SendToAgent): AskAgent {
  return async (node, target, headers) => {
    try {
      return await sendTo(node, ownQuestion(target, withoutHeaders(headers, COMPRESSION)), LOCAL_ANSWER_MS);
    } catch (error) {
      if (error instanceof ConsulError) return undefined;
      throw error;
    }
  };
}

function ownQuestion(target: string, headers: readonly string[]): Incoming {
  const kind = classify('GET', splitTarget(target));
  return { method: 'GET', target, headers, body: NO_BODY, kind, cancel: NEVER_CANCELLED };
}
