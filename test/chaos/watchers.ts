/** Watchers by blocking queries: each goes on from the last index that it was given, whatever happens on the way. */

import type { WatchEvent, WatchView } from '../history/watch.ts';
import type { Outcome } from './exchange.ts';
import { type KvEntry, pause, WATCHED_PREFIX, type Workload } from './kv-clients.ts';
import type { Watch } from './run-history.ts';
import { serviceRecord, WATCHED_SERVICE } from './service-clients.ts';

const WAIT_SECONDS = 5;
/** A server adds up to a sixteenth to a wait; the rest is for finding a leader. */
const ANSWER_LIMIT_MS = 20_000;

interface WatchedThing {
  readonly path: string;
  /** undefined for an answer that shows no state. */
  viewOf(status: number, text: string): WatchView | undefined;
}

const WATCHED: readonly WatchedThing[] = [
  { path: `/v1/kv/${WATCHED_PREFIX}?recurse`, viewOf: keysView },
  { path: `/v1/kv/${WATCHED_PREFIX}0`, viewOf: keysView },
  { path: `/v1/health/service/${WATCHED_SERVICE}`, viewOf: serviceView },
];

/** All watchers of one thing. */
export class WatchGroup {
  readonly #thing: WatchedThing;
  readonly #workload: Workload;
  readonly #events = new Map<string, WatchEvent[]>();
  readonly #end = new AbortController();
  readonly #running: Promise<void>[] = [];

  constructor(workload: Workload, thing: WatchedThing, watchers: number) {
    this.#workload = workload;
    this.#thing = thing;
    for (let number = 0; number < watchers; number++) this.#running.push(this.#watch(number));
  }

  /**
   * Waits until all watchers have seen what a consistent read says, or time is up, and ends them. Nothing may be written
   * any more, but what was written without an answer may still take effect.
   */
  async finish(timeoutMs: number): Promise<Watch> {
    const until = performance.now() + timeoutMs;
    let final = await this.#read();
    while (!this.#haveAllSeen(final) && performance.now() < until) {
      await pause(200);
      final = await this.#read();
    }
    this.end();
    await Promise.all(this.#running);
    return { target: this.#thing.path, watchers: Object.fromEntries(this.#events), final: final ?? {} };
  }

  end(): void {
    this.#end.abort();
  }

  #haveAllSeen(final: WatchView | undefined): boolean {
    const wanted = JSON.stringify(final);
    return [...this.#events.values()].every((events) => JSON.stringify(events.at(-1)?.view) === wanted);
  }

  async #read(): Promise<WatchView | undefined> {
    const { target, timeoutMs } = this.#workload;
    const { path } = this.#thing;
    const consistent = `${path}${path.includes('?') ? '&' : '?'}consistent`;
    const outcome = await target.send({ method: 'GET', path: consistent, timeoutMs });
    return outcome.kind === 'answered' ? this.#thing.viewOf(outcome.status, outcome.text) : undefined;
  }

  async #watch(number: number): Promise<void> {
    const { recorder } = this.#workload;
    const events: WatchEvent[] = [];
    this.#events.set(`watcher ${number}`, events);
    let server = number;
    while (!this.#end.signal.aborted) {
      const asked = events.at(-1)?.index ?? 0;
      const startedAt = recorder.now();
      const outcome = await this.#ask(server, asked);
      if (this.#end.signal.aborted) return;
      const view = outcome.kind === 'answered' ? this.#thing.viewOf(outcome.status, outcome.text) : undefined;
      if (outcome.kind === 'answered' && view !== undefined) {
        const isTimeUp = outcome.index === asked && recorder.now() - startedAt >= WAIT_SECONDS * 1000;
        if (!isTimeUp) events.push({ index: outcome.index, view });
        else if (JSON.stringify(view) !== JSON.stringify(events.at(-1)?.view)) {
          events.push({ index: outcome.index, view });
        }
      } else {
        if (outcome.kind !== 'answered') recorder.note(outcome);
        server++;
        await pause(100);
      }
    }
  }

  #ask(server: number, index: number): Promise<Outcome> {
    const { path } = this.#thing;
    const query = `${path.includes('?') ? '&' : '?'}index=${index}&wait=${WAIT_SECONDS}s`;
    return this.#workload.target.sendTo(server, {
      method: 'GET',
      path: `${path}${index === 0 ? '' : query}`,
      timeoutMs: ANSWER_LIMIT_MS,
      signal: this.#end.signal,
    });
  }
}

export function startWatchGroups(workload: Workload, watchers: number): WatchGroup[] {
  return WATCHED.map((thing) => new WatchGroup(workload, thing, watchers));
}

function keysView(status: number, text: string): WatchView | undefined {
  if (status === 404) return {};
  if (status !== 200) return undefined;
  const entries = JSON.parse(text) as KvEntry[];
  return Object.fromEntries(
    entries.map(({ Key, Value, ModifyIndex }) => [Key, { modifyIndex: ModifyIndex, value: Value ?? '' }]),
  );
}

function serviceView(status: number, text: string): WatchView | undefined {
  if (status !== 200) return undefined;
  const { value, modifyIndex } = serviceRecord(text);
  return value === null ? {} : { service: { modifyIndex, value } };
}
