/** Collects lines and writes them together. Bounded: when the far end is too slow, lines are dropped and counted. */

import type { Clock, Timer } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { LineSink } from './access-log.ts';

/** What the sink needs of a stream; `node:stream`'s Writable has it. */
export interface LineStream {
  /** @returns false when it should be waited for */
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

export interface BufferedSink {
  readonly write: LineSink;
  /** Hands on what is there, whether or not the stream wants it. */
  flush(): void;
}

/** Written at once when that much has come together. */
const FLUSH_CHARACTERS = 64 * 1024;
const FLUSH_MS = 200;
/** Kept while the stream doesn't take anything. */
const MAX_CHARACTERS = 4 * 1024 * 1024;

/** Invariant: `size` is the sum of the lengths in `lines`; a timer runs exactly while lines wait for one. */
export function createBufferedSink(stream: LineStream, clock: Clock, logger: Logger): BufferedSink {
  let lines: string[] = [];
  let size = 0;
  let dropped = 0;
  let isFull = false;
  let timer: Timer | undefined;

  const flush = () => {
    timer?.cancel();
    timer = undefined;
    if (lines.length === 0) return;
    const text = lines.join('');
    lines = [];
    size = 0;
    if (stream.write(text) || isFull) return;
    isFull = true;
    stream.once('drain', drained);
  };
  const drained = () => {
    isFull = false;
    if (dropped > 0) logger.warn('the access log could not keep up', { droppedLines: dropped });
    dropped = 0;
    flush();
  };
  return {
    flush,
    write: (line) => {
      if (size + line.length > MAX_CHARACTERS) {
        dropped++;
        return;
      }
      lines.push(line);
      size += line.length;
      if (isFull) return;
      if (size >= FLUSH_CHARACTERS) flush();
      else timer ??= clock.setTimer(FLUSH_MS, flush);
    },
  };
}
