/** Where the access log goes on Node: standard output or a file that is appended to. */

import { createWriteStream } from 'node:fs';
import type { Clock } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { LineSink } from './access-log.ts';
import { createBufferedSink } from './buffered-sink.ts';

export interface AccessFile {
  readonly write: LineSink;
  /** Writes what is pending. A log that can't be written holds nothing up. */
  close(): Promise<void>;
}

/** @param path '' for standard output */
export function openAccessFile(path: string, clock: Clock, logger: Logger): AccessFile {
  if (path === '') {
    const { flush, write } = createBufferedSink(process.stdout, clock, logger);
    return { write, close: async () => flush() };
  }
  const stream = createWriteStream(path, { flags: 'a' });
  stream.on('error', (error) => logger.error('the access log can not be written', { error: error.message }));
  const { flush, write } = createBufferedSink(stream, clock, logger);
  return {
    write: (line) => {
      if (!stream.destroyed) write(line);
    },
    close: () =>
      new Promise((resolve) => {
        if (stream.destroyed) return resolve();
        flush();
        stream.once('close', () => resolve());
        stream.end();
      }),
  };
}
