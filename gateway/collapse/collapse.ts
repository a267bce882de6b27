/** Identical concurrent reads share upstream requests: one is in flight, one is next, and none is shared by late comers. */

import { type Answer, isWhole } from '../exchange/exchange.ts';
import type { Cancellation } from '../upstream/send.ts';
import { type Interest, openInterest } from './interest.ts';

/** Does the upstream request. It is cancelled when nobody wants its answer any more. */
export type Ask = (cancel: Cancellation) => Promise<Answer>;

export interface Collapse {
  /**
   * Answers a read, by an upstream request that starts after this call: sharing one that is already under way could
   * hide a write which the caller knows to be done.
   *
   * @param key equal only for requests that any caller may exchange: method, target, token, formats
   */
  read(key: string, ask: Ask, cancel: Cancellation): Promise<Answer>;
}

export interface CollapseOptions {
  /** Callers on one shared request; more start their own. */
  readonly maxCallers: number;
  /** Called for each caller that is served by the request of another. */
  readonly onShared: () => void;
}

/** Callers that one upstream request will serve once the one in flight is over. */
interface Batch {
  readonly interest: Interest;
  readonly answer: Promise<Answer>;
  readonly start: () => void;
  callers: number;
  /** A streamed answer has one reader. */
  isStreamTaken: boolean;
}

/** Invariant: a key is present exactly while a request for it is in flight; `next` holds callers that came meanwhile. */
interface Flight {
  next: Batch | undefined;
}

export function createCollapse({ maxCallers, onShared }: CollapseOptions): Collapse {
  const flights = new Map<string, Flight>();

  const land = (key: string, flight: Flight): void => {
    const batch = flight.next;
    if (batch === undefined) {
      flights.delete(key);
      return;
    }
    flight.next = undefined;
    batch.start();
    const landed = () => land(key, flight);
    batch.answer.then(landed, landed);
  };

  const takeOff = async (key: string, ask: Ask, cancel: Cancellation): Promise<Answer> => {
    const flight: Flight = { next: undefined };
    flights.set(key, flight);
    try {
      return await ask(cancel);
    } finally {
      land(key, flight);
    }
  };

  return {
    read: async (key, ask, cancel) => {
      const flight = flights.get(key);
      if (flight === undefined) return takeOff(key, ask, cancel);
      const batch = flight.next ?? openBatch(ask);
      if (batch.callers >= maxCallers) return ask(cancel);
      flight.next = batch;
      if (batch.callers++ > 0) onShared();
      const answer = await batch.interest.join(cancel, batch.answer);
      if (isWhole(answer)) return answer;
      if (batch.isStreamTaken) return ask(cancel);
      batch.isStreamTaken = true;
      return answer;
    },
  };
}

function openBatch(ask: Ask): Batch {
  const interest = openInterest();
  let start: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  return {
    interest,
    answer: started.then(() => ask(interest.cancellation)),
    start,
    callers: 0,
    isStreamTaken: false,
  };
}
