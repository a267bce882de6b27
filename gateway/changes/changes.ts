/** `GET /v1/watch`: streams of changes as server-sent events, any number of them on one upstream wait per topic. */

import type { Clock, Random, Timer } from '../../shared/env.ts';
import { badRequest } from '../../shared/errors.ts';
import { inSlices } from '../collapse/slices.ts';
import { type Answer, EMPTY, type HeaderList, headerOf, textAnswer } from '../exchange/exchange.ts';
import { splitTarget } from '../proxy/target.ts';
import type { AskPool } from '../views/follow.ts';
import { credentialHash } from '../views/question.ts';
import { sha256Hex } from '../views/sha256.ts';
import { type Feed, openFeed } from './feed.ts';
import { openStream, type Position, type Stream } from './stream.ts';
import { parseTopics, type Topic } from './topics.ts';

export interface Changes {
  /** @throws ConsulError 400 for a query that names no topics, or an `id` that is none */
  open(request: {
    readonly method: string;
    readonly target: string;
    readonly headers: HeaderList;
  }): Promise<Answer>;
  size(): { readonly feeds: number; readonly streams: number; readonly bytes: number };
  /** Ends all streams; their clients go on elsewhere with the `id` that they have. */
  stop(): void;
}

export interface ChangesOptions {
  readonly ask: AskPool;
  /** Topics followed at most; each holds one wait at an agent. */
  readonly maxFeeds: number;
  /** States and histories kept together at most, bytes. One may take a quarter of it. */
  readonly maxBytes: number;
  /** How long a topic is followed after its last stream, so that who comes back finds what it missed. */
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

interface Held {
  readonly feed: Feed;
  /** Streams that use it or wait to. */
  users: number;
  /** Monotonic ms since when nobody does. */
  idleSinceMs: number;
}

/** Below the 30 s after which some proxies cut what is silent. */
const BEAT_MS = 15_000;
/** What a client has seen elsewhere is news here as well, and on its way; if not, indexes fell, and it starts anew. */
const CATCH_UP_MS = 2000;
const IDENTITY: ReadonlySet<string> = new Set(['x-consul-token', 'authorization', 'x-consul-namespace']);

export function createChanges(options: ChangesOptions): Changes {
  const { clock } = options;
  const feeds = new Map<string, Held>();
  const streams = new Set<Stream>();
  let pulse: Timer | undefined;
  let isStopped = false;

  const bytes = () => {
    let sum = 0;
    for (const { feed } of feeds.values()) sum += feed.history.bytes;
    return sum;
  };
  const drop = (key: string, held: Held): void => {
    feeds.delete(key);
    held.feed.close();
  };
  const dropIdle = (lingerMs: number): void => {
    const nowMs = clock.monotonicMs();
    for (const [key, held] of feeds)
      if (held.users === 0 && nowMs - held.idleSinceMs >= lingerMs) drop(key, held);
  };
  const beat = (): void => {
    dropIdle(bytes() > options.maxBytes ? 0 : options.lingerMs);
    inSlices([...streams], (stream) => stream.beat(), clock);
    pulse = feeds.size === 0 ? undefined : clock.setTimer(BEAT_MS, beat);
  };
  const hold = (topic: Topic, headers: HeaderList): Held | undefined => {
    const key = feedKey(topic, headers);
    const known = feeds.get(key);
    if (known !== undefined && known.feed.refusal === undefined) {
      known.users++;
      return known;
    }
    if (feeds.size >= options.maxFeeds || bytes() > options.maxBytes) dropIdle(0);
    if (feeds.size >= options.maxFeeds || bytes() > options.maxBytes) return undefined;
    const feed = openFeed(topic, headers, {
      ...options,
      limitBytes: options.maxBytes / 4,
      wake: (listeners) => inSlices([...listeners], (wake) => wake(), clock),
    });
    const held: Held = { feed, users: 1, idleSinceMs: 0 };
    feeds.set(key, held);
    pulse ??= clock.setTimer(BEAT_MS, beat);
    return held;
  };
  const release = (all: readonly Held[]): void => {
    for (const held of all) {
      held.users--;
      held.idleSinceMs = clock.monotonicMs();
    }
    if (options.lingerMs === 0) dropIdle(0);
  };

  return {
    open: async ({ method, target, headers }) => {
      if (method !== 'GET' && method !== 'HEAD') return notAllowed(method);
      const { query } = splitTarget(target);
      const topics = parseTopics(query);
      const seen = seenIndexes(query, headers, topics);
      if (isStopped) return textAnswer(503, 'The gateway is stopping.');
      const sent = identityOf(headers);
      const held: Held[] = [];
      for (const topic of topics) {
        const one = hold(topic, sent);
        if (one === undefined) {
          release(held);
          return textAnswer(503, TOO_MANY);
        }
        held.push(one);
      }
      const refusals = await Promise.all(held.map(({ feed }) => feed.ready));
      const refusal = refusals.find((one, i) => one !== undefined && held[i]?.feed.history.seq === 0);
      if (refusal !== undefined || method === 'HEAD') {
        release(held);
        return refusal ?? { status: 200, headers: HEADERS, body: EMPTY };
      }
      // A gateway that the client came from may have been ahead.
      await Promise.all(held.map(({ feed }, i) => feed.reached(seen[i] ?? 0, CATCH_UP_MS)));
      const positions = held.map(({ feed }, i) => startAt(topics[i]?.name ?? '', feed, seen[i] ?? 0));
      const stream = openStream(idPrefix(topics), positions, () => {
        streams.delete(stream);
        release(held);
      });
      streams.add(stream);
      return { status: 200, headers: HEADERS, body: stream.body };
    },
    size: () => ({ feeds: feeds.size, streams: streams.size, bytes: bytes() }),
    stop: () => {
      isStopped = true;
      pulse?.cancel();
      for (const stream of [...streams]) stream.end();
      for (const [key, held] of feeds) drop(key, held);
    },
  };
}

const TOO_MANY =
  'Too much is being watched through this gateway. Raise GATEWAY_VIEW_BYTES (-view-bytes) or add gateways.';

const HEADERS: HeaderList = [
  'Content-Type',
  'text/event-stream; charset=utf-8',
  'Cache-Control',
  'no-cache, no-transform',
  'X-Accel-Buffering',
  'no',
];

function notAllowed(method: string): Answer {
  const { headers, ...answer } = textAnswer(405, `method ${method} not allowed`);
  return { ...answer, headers: [...headers, 'Allow', 'GET, HEAD'] };
}

/** Goes on from an index when the topic's history still knows it, else from nothing: then a snapshot comes. */
function startAt(topic: string, feed: Feed, seenIndex: number): Position {
  const seq = seenIndex === 0 ? undefined : feed.history.seqOf(seenIndex);
  return { topic, feed, seq, index: seq === undefined ? 0 : seenIndex };
}

/**
 * The index that a client has seen of each topic, from `Last-Event-ID` or `index`: an `id` of a stream with the same
 * topics, or an `X-Consul-Index`, which then stands for all of them.
 */
function seenIndexes(query: string, headers: HeaderList, topics: readonly Topic[]): readonly number[] {
  const text = headerOf(headers, 'last-event-id') || new URLSearchParams(query).get('index') || '';
  if (text === '' || text === '0') return [];
  if (/^\d{1,15}$/.test(text)) return topics.map(() => Number(text));
  const [prefix, ...indexes] = text.split('.');
  if (
    prefix === undefined ||
    !/^[0-9a-f]{8}$/.test(prefix) ||
    !indexes.every((each) => /^\d{1,15}$/.test(each))
  )
    throw badRequest(
      'index (or Last-Event-ID) must be the id of an event of this stream, or an X-Consul-Index.',
    );
  // Of another stream: its indexes say nothing about these topics.
  return prefix === idPrefix(topics) ? indexes.map(Number) : [];
}

function idPrefix(topics: readonly Topic[]): string {
  return sha256Hex(topics.map(({ name, target }) => `${name} ${withoutToken(target)}`).join('\n')).slice(
    0,
    8,
  );
}

function identityOf(headers: HeaderList): string[] {
  const sent: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (IDENTITY.has(name.toLowerCase())) sent.push(name, headers[i + 1] as string);
  }
  return sent;
}

function feedKey({ name, target }: Topic, headers: HeaderList): string {
  const tokens = splitTarget(target).query.split('&').filter(isToken);
  const namespace = headerOf(headers, 'x-consul-namespace') ?? '';
  return [name, withoutToken(target), namespace, credentialHash(tokens, headers)].join('\n');
}

function withoutToken(target: string): string {
  const [path = '', query = ''] = target.split('?', 2);
  return `${path}?${query
    .split('&')
    .filter((pair) => !isToken(pair))
    .join('&')}`;
}

function isToken(pair: string): boolean {
  return pair.startsWith('token=');
}
