/** The seam to the network: one request to one agent, once. Everything about nodes, retries and waits lies above. */

import { REQUEST_ID_HEADER } from '../../shared/request-id.ts';
import type { Answer, HeaderList, RequestBody } from '../exchange/exchange.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, sent as they are. */
  readonly target: string;
  /** End-to-end headers only; Host, Content-Length and framing are the transport's. */
  readonly headers: HeaderList;
  /** Goes along as a header of its own (see `allHeaders`): the others repeat from request to request, this one never. */
  readonly requestId?: string | undefined;
  readonly body: RequestBody;
  /** 'whole' collects the answer up to the transport's limit; 'stream' hands on the first byte at once. */
  readonly delivery: 'whole' | 'stream';
  /** Uses the connections set aside for what stays open long. */
  readonly isWait: boolean;
  /** Milliseconds to the first byte of the answer; 0: none. */
  readonly timeoutMs: number;
  /** Receives the way to abandon the request, before it is sent. */
  readonly onStart?: ((abort: (reason: UpstreamError) => void) => void) | undefined;
}

/**
 * - `not-sent`: no byte of the request left (refused, unknown host, connect timeout): certainly not applied.
 * - `broken`: it was sent and the connection ended without a whole answer: may have been applied.
 * - `timeout`: it was sent and no answer began in time: may have been applied.
 * - `abandoned`: the gateway gave it up, because the client left or the agent was reported dead.
 */
export type UpstreamErrorKind = 'not-sent' | 'broken' | 'timeout' | 'abandoned';

export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly kind: UpstreamErrorKind;

  constructor(kind: UpstreamErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

/** All headers of a request in one list, for transports that have no better way. */
export function allHeaders({ headers, requestId }: UpstreamRequest): HeaderList {
  return requestId === undefined ? headers : [...headers, REQUEST_ID_HEADER, requestId];
}

export interface Transport {
  /** @throws UpstreamError and nothing else */
  send(baseUrl: string, request: UpstreamRequest): Promise<Answer>;
  /** Waits that an agent takes at once where they need no connection of their own; undefined: each needs one. */
  maxWaits?(baseUrl: string): number | undefined;
  /** Drops the connections to an agent that left the pool, once they are idle. */
  forget(baseUrl: string): void;
  close(): Promise<void>;
}
