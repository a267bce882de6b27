/** Following changes: a gateway's stream of events, joined over lost connections so that each change is told once. */

import { changedAt } from '../changed-at.ts';
import { renderJson } from '../json.ts';
import { parseUint64Json } from '../uint64-json.ts';
import type { Calls } from './calls.ts';
import { readEvents, type ServerSentEvent } from './server-sent-events.ts';
import { RequestError } from './transport.ts';
import { mayPass, pause, type WatchOptions } from './watch.ts';

/** What is followed; at least one topic. */
export interface Topics {
  /** Services whose instances are followed. Values are of type `ServiceNode`. */
  readonly services?: readonly string[];
  /** The same with their checks. Values are of type `HealthEntry`. */
  readonly health?: readonly string[];
  /** Prefixes of keys. Values are of type `KvEntry`. */
  readonly keys?: readonly string[];
  /** The names of all services. Values are their tags. */
  readonly serviceNames?: boolean;
  /** With `health`: only instances whose checks all pass. */
  readonly passing?: boolean;
  /** With `services` and `health`: a filter expression. */
  readonly filter?: string;
  /** With `services` and `health`: only instances with all of these. */
  readonly tags?: readonly string[];
}

export type ChangesOptions = Pick<WatchOptions, 'signal' | 'datacenter' | 'consistency' | 'onRetry'>;

export interface ChangedEntry {
  /** `node/ID` of an instance, a key, the name of a service. */
  readonly key: string;
  readonly value: unknown;
}

/** `topic` is `service:NAME`, `health:NAME`, `kv:PREFIX` or `services`. `index` is that of the state after the change. */
export type Change =
  /** What there is at the beginning: once for each topic. */
  | {
      readonly kind: 'snapshot';
      readonly topic: string;
      readonly index: number;
      readonly entries: readonly ChangedEntry[];
    }
  | {
      readonly kind: 'put';
      readonly topic: string;
      readonly index: number;
      readonly key: string;
      readonly value: unknown;
    }
  | { readonly kind: 'delete'; readonly topic: string; readonly index: number; readonly key: string };

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;
/** Gateways say every 15 s that they are there. */
const SILENCE_MS = 40_000;

/**
 * First a snapshot of each topic, then each change, in the order of each topic, until the loop is left or `signal` is
 * aborted. Lost connections are made again, and what was missed follows. Between two changes of one entry others that
 * came in quick succession may be left out; the last state is never missed.
 *
 * @throws RequestError for refusals that would only come again
 */
export async function* changes(
  calls: Calls,
  topics: Topics,
  { onRetry, ...options }: ChangesOptions = {},
): AsyncGenerator<Change, void, void> {
  const isEnded = () => options.signal?.aborted === true;
  const known = new Known();
  let lastId = '';
  let delayMs = FIRST_DELAY_MS;
  while (!isEnded()) {
    const silence = watchSilence(calls, options.signal);
    try {
      const query = { ...queryOf(topics), index: lastId === '' ? undefined : lastId };
      const read = { ...options, signal: silence.signal };
      const body = await calls.stream({ path: '/v1/watch', query, options: read });
      for await (const event of readEvents(body, silence.heard)) {
        delayMs = FIRST_DELAY_MS;
        // Whoever takes long over a change isn't a gateway that fell silent.
        silence.rest();
        yield* known.changesOf(event);
        lastId = event.lastId;
        silence.heard();
      }
      if (isEnded()) return;
      throw new TypeError('the stream ended');
    } catch (error) {
      if (isEnded()) return;
      if (!mayPass(error)) throw error;
      const spreadMs = delayMs * (0.8 + 0.4 * calls.env.random.next());
      onRetry?.(error, spreadMs);
      await pause(spreadMs, options.signal, calls.env);
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
    } finally {
      silence.end();
    }
  }
}

function queryOf({ services, health, keys, serviceNames, passing, filter, tags }: Topics) {
  return { service: services, health, kv: keys, services: serviceNames, passing, filter, tag: tags };
}

/** A connection that is silent for too long is given up: its other end may be gone without a word. */
function watchSilence({ env: { clock } }: Calls, outer: AbortSignal | undefined) {
  const controller = new AbortController();
  const give = () => controller.abort(new DOMException('the stream fell silent', 'TimeoutError'));
  let timer = clock.setTimer(SILENCE_MS, give, true);
  return {
    signal: outer === undefined ? controller.signal : AbortSignal.any([controller.signal, outer]),
    heard: () => {
      timer.cancel();
      timer = clock.setTimer(SILENCE_MS, give, true);
    },
    rest: () => timer.cancel(),
    end: () => {
      timer.cancel();
      controller.abort();
    },
  };
}

/** What was told of each topic: with it a later snapshot becomes changes, and what comes twice is told once. */
class Known {
  readonly #topics = new Map<string, Map<string, string>>();

  *changesOf({ event, data }: ServerSentEvent): Generator<Change> {
    const told = parseData(data);
    const { topic, index } = told;
    if (event === 'refused') throw new RequestError('GET /v1/watch', told.status, `${topic}: ${told.reason}`);
    if (event === 'snapshot') return yield* this.#snapshot(topic, index, told.entries);
    const entries = this.#topics.get(topic);
    if (entries === undefined) return;
    if (event === 'put') yield* put(entries, topic, index, told.key, told.value);
    if (event === 'delete' && entries.delete(told.key)) yield { kind: 'delete', topic, index, key: told.key };
  }

  *#snapshot(topic: string, index: number, given: readonly ChangedEntry[]): Generator<Change> {
    const entries = this.#topics.get(topic);
    if (entries === undefined) {
      this.#topics.set(topic, new Map(given.map(({ key, value }) => [key, renderJson(value, false)])));
      return yield { kind: 'snapshot', topic, index, entries: given };
    }
    const present = new Set(given.map(({ key }) => key));
    const inOrder = given.toSorted((a, b) => changedAt(a.value) - changedAt(b.value));
    for (const { key, value } of inOrder) yield* put(entries, topic, index, key, value);
    for (const key of [...entries.keys()])
      if (!present.has(key) && entries.delete(key)) yield { kind: 'delete', topic, index, key };
  }
}

function* put(
  entries: Map<string, string>,
  topic: string,
  index: number,
  key: string,
  value: unknown,
): Generator<Change> {
  const json = renderJson(value, false);
  if (entries.get(key) === json) return;
  entries.set(key, json);
  yield { kind: 'put', topic, index, key, value };
}

interface Told {
  readonly topic: string;
  readonly index: number;
  readonly key: string;
  readonly value: unknown;
  readonly entries: readonly ChangedEntry[];
  readonly status: number;
  readonly reason: string;
}

/** What gateways send is described by their documents; they are held to it by their own tests. */
function parseData(data: string): Told {
  const empty = { topic: '', index: 0, key: '', value: undefined, entries: [], status: 0, reason: '' };
  return { ...empty, ...(parseUint64Json(data) as Partial<Told>) };
}
