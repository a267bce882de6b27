/** A watcher: blocking queries over a prefix, one after the other, and what it is told. */

import { headerOf } from '../../../gateway/exchange/exchange.ts';
import { sleep } from '../../../shared/env.ts';
import type { WatchEvent, WatchView } from '../../history/watch.ts';
import { ask, describe, entriesOf, type Recorder } from './clients.ts';
import type { Access, HttpAnswer } from './gateways.ts';

export interface Watcher {
  readonly name: string;
  readonly events: readonly WatchEvent[];
  /** Ends after the answer that it waits for. */
  stop(): void;
}

/** Longer than the end of a history: a wake-up that is lost must not be made good by the time being over. */
const WAIT_MS = 20_000;
const PAUSE_MS = 100;

/** @param prefix of all the keys that it watches */
export function startWatcher(name: string, access: Access, prefix: string, recorder: Recorder): Watcher {
  const events: WatchEvent[] = [];
  let isStopped = false;
  const run = async () => {
    let index = 0;
    while (!isStopped) {
      const wait = index === 0 ? '' : `&index=${index}&wait=${WAIT_MS}ms`;
      const target = `/v1/kv/${prefix}?recurse${wait}`;
      const answered = await ask(recorder, access, { method: 'GET', target }, 2 * WAIT_MS);
      const event = answered.kind === 'answer' ? eventOf(answered.answer) : undefined;
      if (event === undefined) {
        recorder.trace(`${name} at ${access.name}: ${describe(answered)}`);
        await sleep(recorder.clock, PAUSE_MS);
        continue;
      }
      // The time to wait was over: nothing new.
      if (event.index === index) continue;
      recorder.trace(`${name} is told index ${event.index}: ${JSON.stringify(event.view)}`);
      events.push(event);
      // What the manual tells clients to do when an index goes back: begin anew.
      index = event.index < index ? 0 : event.index;
    }
  };
  void run();
  return {
    name,
    events,
    stop: () => {
      isStopped = true;
    },
  };
}

function eventOf({ status, headers, text }: HttpAnswer): WatchEvent | undefined {
  const index = Number(headerOf(headers, 'x-consul-index') ?? '0');
  if ((status !== 200 && status !== 404) || index === 0) return undefined;
  return { index, view: status === 404 ? {} : viewOf(text) };
}

export function viewOf(text: string): WatchView {
  return Object.fromEntries(
    entriesOf(text).map(({ Key, ModifyIndex, Value }) => [
      Key,
      { modifyIndex: ModifyIndex, value: Value ?? '' },
    ]),
  );
}
