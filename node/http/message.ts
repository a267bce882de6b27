/** A request and its answer as the dispatcher needs them, whether they came by HTTP/1.1 or over a multiplexed connection. */

import type { IncomingMessage } from 'node:http';
import type { MuxRequest } from './mux-message.ts';

export type Incoming = IncomingMessage | MuxRequest;

/** What of node:http's `ServerResponse` is used. */
export interface Outgoing {
  /** The client is gone, or the answer was broken off. */
  readonly destroyed: boolean;
  readonly headersSent: boolean;
  /** Everything was handed over before it closed. */
  readonly writableFinished: boolean;
  writeHead(status: number, headers: string[]): unknown;
  flushHeaders(): void;
  /** False: wait for 'drain'. */
  write(piece: string | Uint8Array): boolean;
  end(): unknown;
  end(body: Uint8Array): unknown;
  end(body: string, encoding: 'latin1'): unknown;
  on(event: 'drain' | 'close', listener: () => void): unknown;
  once(event: 'close', listener: () => void): unknown;
  destroy(): unknown;
}
