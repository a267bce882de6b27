/** One client's stream of changes: where it stands in each topic, and what it is told next. Nothing is queued for it. */

import type { WholeAnswer } from '../exchange/exchange.ts';
import type { Feed } from './feed.ts';
import { batchBytes } from './history.ts';

/** A topic as one stream has it. `seq` is the state that was told; undefined: none yet. */
export interface Position {
  readonly topic: string;
  readonly feed: Feed;
  seq: number | undefined;
  /** Index for the `id`; 0 before a state was told. */
  index: number;
}

export interface Stream {
  readonly body: ReadableStream<Uint8Array>;
  /** Tells a stream that has nothing else to tell that the gateway is there. */
  beat(): void;
  /** Ends it; the client comes back with the last `id`. */
  end(): void;
}

const encoder = new TextEncoder();
/** Clients that reconnect by themselves wait so long. */
const OPENING = encoder.encode('retry: 1000\n\n');
const BEAT = encoder.encode(': alive\n\n');
const WAITING_BEAT = encoder.encode(': no agent answers\n\n');

/**
 * @param idPrefix names the topics, so that an `id` isn't taken for that of another stream
 * @param onEnd    called once, when the client has left or the stream is over
 */
export function openStream(idPrefix: string, positions: readonly Position[], onEnd: () => void): Stream {
  let sink: ReadableStreamDefaultController<Uint8Array> | undefined;
  let resume: (() => void) | undefined;
  let isEnded = false;
  let isOpened = false;

  const idNow = () => `${idPrefix}.${positions.map(({ index }) => index).join('.')}`;
  const next = (): Uint8Array | undefined => {
    if (!isOpened) {
      isOpened = true;
      return OPENING;
    }
    for (const position of positions) {
      const chunk = nextOf(position, idNow);
      if (chunk !== undefined) return chunk;
    }
    return undefined;
  };
  const finish = () => {
    if (isEnded) return;
    isEnded = true;
    for (const { feed } of positions) feed.listeners.delete(wake);
    resume?.();
    onEnd();
  };
  const close = () => {
    if (!isEnded) sink?.close();
    finish();
  };
  const put = (chunk: Uint8Array) => {
    const done = resume;
    resume = undefined;
    sink?.enqueue(chunk);
    done?.();
  };
  const endIfRefused = () => {
    const refused = positions.find(({ feed }) => feed.refusal !== undefined);
    if (refused?.feed.refusal === undefined) return;
    put(refusalEvent(refused.topic, refused.feed.refusal));
    close();
  };
  function wake(): void {
    if (resume === undefined || isEnded) return;
    const chunk = next();
    if (chunk !== undefined) put(chunk);
    else endIfRefused();
  }
  for (const { feed } of positions) feed.listeners.add(wake);

  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        sink = controller;
      },
      // Nothing is made before the client takes it: whoever is slow finds the newest state when it comes back.
      pull: () =>
        new Promise<void>((resolve) => {
          resume = resolve;
          wake();
        }),
      cancel: finish,
    },
    { highWaterMark: 0 },
  );
  return {
    body,
    beat: () => {
      if (resume !== undefined && !isEnded)
        put(positions.every(({ feed }) => feed.isLive) ? BEAT : WAITING_BEAT);
    },
    end: close,
  };
}

/** Moves a position on by one batch, or to the present state where the batches between are gone. */
function nextOf(position: Position, idNow: () => string): Uint8Array | undefined {
  const { history } = position.feed;
  const following = position.seq === undefined ? 'lost' : history.after(position.seq);
  if (following === 'present') return undefined;
  if (following === 'lost') {
    position.seq = history.seq;
    position.index = history.index;
    return encoder.encode(`id: ${idNow()}\n${history.snapshot()}`);
  }
  position.seq = following.seq;
  position.index = Math.max(following.toIndex, following.fromIndex);
  return batchBytes(following, idNow());
}

function refusalEvent(topic: string, { status, body }: WholeAnswer): Uint8Array {
  const reason = new TextDecoder().decode(body.subarray(0, 4096));
  return encoder.encode(`event: refused\ndata: ${JSON.stringify({ topic, status, reason })}\n\n`);
}
