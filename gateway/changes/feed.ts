/** One topic for one caller's rights: followed upstream once, however many streams it is told to. */

import type { Clock, Random } from '../../shared/env.ts';
import type { ConsulError } from '../../shared/errors.ts';
import { type HeaderList, isWhole, textAnswer, type WholeAnswer } from '../exchange/exchange.ts';
import { type AskPool, follow } from '../views/follow.ts';
import { History } from './history.ts';
import { entriesOf, type Topic } from './topics.ts';

export interface Feed {
  readonly history: History;
  /** Resolves once there is a state, or with the answer that says why there is none. */
  readonly ready: Promise<WholeAnswer | undefined>;
  /** Whether the last question upstream was answered. */
  isLive: boolean;
  /** Set when agents refuse it: nothing comes any more. */
  refusal: WholeAnswer | undefined;
  /** Called on each change and on a refusal. */
  readonly listeners: Set<() => void>;
  /** Resolves once the topic is known as of `index`, at the latest after `limitMs`. */
  reached(index: number, limitMs: number): Promise<void>;
  close(): void;
}

export interface FeedOptions {
  readonly ask: AskPool;
  /** Largest answer that is followed, bytes. */
  readonly limitBytes: number;
  /** Tells listeners, in turns when there are many. */
  readonly wake: (listeners: ReadonlySet<() => void>) => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** Long enough to cost little, short enough that an agent cut off from the others is left within a minute. */
const WAIT_MS = 55_000;
const BOUNDS = { maxBatches: 1000, maxBytes: 512 * 1024 };

export function openFeed(topic: Topic, headers: HeaderList, options: FeedOptions): Feed {
  const history = new History(topic.name, BOUNDS);
  const listeners = new Set<() => void>();
  const lookers = new Set<() => void>();
  let becomeReady: (refusal: WholeAnswer | undefined) => void = () => undefined;
  const ready = new Promise<WholeAnswer | undefined>((resolve) => {
    becomeReady = resolve;
  });
  const refuse = (answer: WholeAnswer) => {
    feed.refusal = answer;
    feed.isLive = false;
    becomeReady(answer);
    options.wake(listeners);
  };
  const stop = follow({
    target: topic.target,
    headers,
    ask: options.ask,
    waitMs: () => WAIT_MS,
    limitBytes: options.limitBytes,
    onAnswer: ({ answer, index }) => {
      feed.isLive = true;
      const entries = readEntries(topic, answer.body);
      if (entries === undefined) {
        stop();
        return refuse(textAnswer(502, `The agent's answer to ${topic.name} is no JSON.`));
      }
      const hasNews = history.apply(index, entries);
      for (const look of [...lookers]) look();
      becomeReady(undefined);
      if (hasNews) options.wake(listeners);
    },
    onFailure: (error) => {
      feed.isLive = false;
      becomeReady(failure(error));
    },
    onRefusal: (answer) => refuse(isWhole(answer) ? answer : textAnswer(answer.status, 'refused')),
    clock: options.clock,
    random: options.random,
  });
  const reached = (index: number, limitMs: number) =>
    new Promise<void>((resolve) => {
      const done = () => {
        lookers.delete(look);
        timer.cancel();
        resolve();
      };
      const look = () => {
        if (history.index >= index) done();
      };
      const timer = options.clock.setTimer(limitMs, done);
      lookers.add(look);
      look();
    });
  const feed: Feed = { history, ready, isLive: false, refusal: undefined, listeners, reached, close: stop };
  return feed;
}

function failure(error: ConsulError): WholeAnswer {
  return textAnswer(error.status, error.message);
}

function readEntries(topic: Topic, body: Uint8Array) {
  try {
    return entriesOf(topic.kind, body);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
