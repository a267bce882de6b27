/**
 * Keeps the node pool up to date: asks one agent for all, the leader by preference, every second and whenever something
 * broke. A leader that does not answer soon is not waited for: the others know first that it has been replaced.
 */

import type { Clock, Random, Timer } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { type Answer, EMPTY, isWhole, NO_BODY } from '../exchange/exchange.ts';
import { abandonRequests, isUsable, type NodePool, type PoolNode } from './node-pool.ts';
import {
  type ListedAgent,
  POOL_PATH,
  type PoolListing,
  parseLeaderAddress,
  parsePool,
  parseSelf,
} from './pool-listing.ts';
import { type Transport, UpstreamError } from './transport.ts';

export interface PoolPoller {
  /** Asks now; concurrent calls share one question where requests can share work. Never rejects. */
  refresh(): Promise<void>;
  /** Asks soon, unless that is under way. Cheap: called on every failure. */
  nudge(): void;
  /** Milliseconds since the last question; Infinity before the first answer. */
  ageMs(): number;
  /** Whether the last listing knew a leader. */
  hasLeader(): boolean;
  start(): void;
  stop(): void;
}

export interface PoolPollerOptions {
  readonly pool: NodePool;
  readonly transport: Transport;
  readonly seeds: readonly string[];
  readonly pollMs: number;
  /** False where a request may not wait for another request's work (Workers). */
  readonly sharesWork: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const POLL_TIMEOUT_MS = 2000;
/** After this another agent is asked as well, where requests can share work. */
const PATIENCE_MS = 400;
/** How soon the others are asked again while the leader says nothing, and for how long that is worth it. */
const SILENCE_POLL_MS = 150;
const ELECTION_MS = 10_000;
/** Two refreshes start no closer than this. */
const MIN_SPACING_MS = 20;

/** Questions that no answer has come to yet, at most one an agent. */
type OpenQuestions = Map<PoolNode, Promise<PoolListing | undefined>>;

export function createPoolPoller(options: PoolPollerOptions): PoolPoller {
  const { pool, transport, clock, random, logger } = options;
  let running: Promise<void> | undefined;
  let timer: Timer | undefined;
  let isStarted = false;
  let hasListing = false;
  let startedAtMs = Number.NEGATIVE_INFINITY;
  let wasReachable = true;
  let hasLeader = false;
  const open: OpenQuestions = new Map();
  /** Who led when last anybody did, and since when it says nothing. */
  let leader: PoolNode | undefined;
  let silentSinceMs: number | undefined;

  const ask = async (): Promise<void> => {
    startedAtMs = clock.monotonicMs();
    const listing = await askAround(options, open);
    if (listing === undefined) {
      if (wasReachable) logger.error('no agent tells who is in the pool', { tried: pool.nodes().length });
      wasReachable = false;
      hasLeader = false;
      return;
    }
    // Whoever may be well again is asked before clients' requests are sent there.
    if (options.sharesWork)
      for (const node of pool.dueForTrial(clock.monotonicMs())) void probe(node, options);
    if (!wasReachable) logger.info('the pool is reachable again');
    wasReachable = true;
    hasListing = true;
    hasLeader = listing.hasLeader;
    for (const url of pool.apply(listing.agents)) {
      logger.info('agent left the pool', { url });
      transport.forget(url);
    }
    noteLeader(pool.believedLeader());
  };
  const noteLeader = (now: PoolNode | undefined): void => {
    const nowMs = clock.monotonicMs();
    const isSilent = leader !== undefined && (open.has(leader) || !isUsable(leader, nowMs));
    if (leader !== undefined && isSilent && now !== undefined && now !== leader) {
      logger.warn('the leader was silent and has been replaced', { old: leader.url, new: now.url });
      abandonRequests(leader);
    }
    const isStillSilent = isSilent && (now === undefined || now === leader);
    silentSinceMs = isStillSilent ? (silentSinceMs ?? nowMs) : undefined;
    leader = now ?? leader;
  };
  const nextPollMs = (): number => {
    const pollMs = options.pollMs * (0.8 + 0.4 * random.next());
    const isElecting = silentSinceMs !== undefined && clock.monotonicMs() - silentSinceMs < ELECTION_MS;
    return isElecting ? Math.min(SILENCE_POLL_MS, pollMs) : pollMs;
  };
  const refresh = (): Promise<void> => {
    if (!options.sharesWork) return ask();
    running ??= ask().finally(() => {
      running = undefined;
      schedule(nextPollMs());
    });
    return running;
  };
  const schedule = (delayMs: number): void => {
    timer?.cancel();
    timer = isStarted ? clock.setTimer(delayMs, () => void refresh()) : undefined;
  };
  return {
    refresh,
    nudge: () => {
      if (!isStarted || running !== undefined) return;
      const waitMs = startedAtMs + MIN_SPACING_MS - clock.monotonicMs();
      if (waitMs <= 0) void refresh();
      else schedule(waitMs);
    },
    ageMs: () => (hasListing ? clock.monotonicMs() - startedAtMs : Number.POSITIVE_INFINITY),
    hasLeader: () => hasLeader,
    start: () => {
      isStarted = true;
      void refresh();
    },
    stop: () => {
      isStarted = false;
      timer?.cancel();
    },
  };
}

/**
 * Asks the leader first, then the others, until someone's listing shows a leader: an agent that is cut off from the
 * rest sees no leader, and must not talk the gateway out of the healthy majority. Who has not answered soon is passed
 * over, and waited for only when nobody else has anything to say.
 *
 * @returns the first listing with a leader, else the first at all, else undefined
 */
async function askAround(options: PoolPollerOptions, open: OpenQuestions): Promise<PoolListing | undefined> {
  const { pool, clock } = options;
  let fallback: PoolListing | undefined;
  const tried = new Set<PoolNode>();
  for (;;) {
    const node = pool.pick({ kind: 'leader' }, tried, clock.monotonicMs(), Number.POSITIVE_INFINITY);
    if (node === undefined) break;
    tried.add(node);
    if (open.has(node)) continue;
    const asked = askOpenly(node, options, open);
    const listing = await (options.sharesWork ? within(asked, PATIENCE_MS, clock) : asked);
    if (listing?.hasLeader) return listing;
    fallback ??= listing;
  }
  for (const asked of fallback === undefined ? [...open.values()] : []) {
    const listing = await asked;
    if (listing?.hasLeader) return listing;
    fallback ??= listing;
  }
  return fallback;
}

function askOpenly(
  node: PoolNode,
  options: PoolPollerOptions,
  open: OpenQuestions,
): Promise<PoolListing | undefined> {
  const asked = askOne(node, options).finally(() => open.delete(node));
  open.set(node, asked);
  return asked;
}

/** @returns undefined when it takes longer, too */
function within<T>(work: Promise<T>, limitMs: number, clock: Clock): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const limit = clock.setTimer(limitMs, () => resolve(undefined));
    work.then(resolve, reject).finally(() => limit.cancel());
  });
}

async function askOne(node: PoolNode, options: PoolPollerOptions): Promise<PoolListing | undefined> {
  try {
    const answer = await get(node.url, POOL_PATH, options);
    options.pool.noteSuccess(node, options.clock.monotonicMs());
    if (answer.status === 200) return parsePool(textOf(answer));
    if (answer.status === 404) return await listPlainConsul(options);
    return undefined;
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    const wasWell = node.circuit.state === 'closed';
    options.pool.noteFailure(node, options.clock.monotonicMs());
    node.isLeader = false;
    // Said once: the polls that follow would only repeat it.
    if (wasWell) options.logger.warn('agent does not answer', { url: node.url, error: error.message });
    return undefined;
  }
}

/** The cheapest question there is; any answer will do. */
async function probe(node: PoolNode, options: PoolPollerOptions): Promise<void> {
  const { pool, clock } = options;
  pool.noteSent(node, clock.monotonicMs());
  try {
    await get(node.url, '/v1/status/leader', options);
    pool.noteSuccess(node, clock.monotonicMs());
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    pool.noteFailure(node, clock.monotonicMs());
  }
}

/** A plain Consul has no pool route: the configured agents are the pool, and the leader is told by its host. */
async function listPlainConsul(options: PoolPollerOptions): Promise<PoolListing | undefined> {
  const agents = await Promise.all(options.seeds.map((url) => describePlainAgent(url, options)));
  const leaders = agents.filter(({ agent, leaderHost }) => {
    const { hostname } = new URL(agent.url);
    return agent.isAlive && agent.role === 'server' && hostname === leaderHost;
  });
  // Several agents on one host can't be told apart by it; any of them forwards to the leader.
  const leaderUrl = leaders[0]?.agent.url;
  return {
    agents: agents.map(({ agent }) => ({ ...agent, isLeader: agent.url === leaderUrl })),
    hasLeader: agents.some(({ leaderHost }) => leaderHost !== ''),
  };
}

async function describePlainAgent(
  url: string,
  options: PoolPollerOptions,
): Promise<{ agent: ListedAgent; leaderHost: string }> {
  try {
    const [self, leader] = await Promise.all([
      get(url, '/v1/agent/self', options),
      get(url, '/v1/status/leader', options),
    ]);
    // Without permission for agent/self the name stays unknown; requests still work.
    const { name, role } = parseSelf(textOf(self)) ?? { name: '', role: 'server' as const };
    const agent: ListedAgent = { name, role, url, isAlive: true, isLeader: false };
    return { agent, leaderHost: parseLeaderAddress(textOf(leader)) };
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return { agent: { name: '', role: 'server', url, isAlive: false, isLeader: false }, leaderHost: '' };
  }
}

function get(url: string, target: string, { transport }: PoolPollerOptions): Promise<Answer> {
  return transport.send(url, {
    method: 'GET',
    target,
    headers: [],
    body: NO_BODY,
    delivery: 'whole',
    isWait: false,
    timeoutMs: POLL_TIMEOUT_MS,
  });
}

function textOf(answer: Answer): string {
  return new TextDecoder().decode(isWhole(answer) ? answer.body : EMPTY);
}
