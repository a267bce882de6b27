/** The client's side of one request, as the gateway's layers see it on every runtime. */

/** Flat name, value, name, value … in wire order; names keep the case in which they came. */
export type HeaderList = readonly string[];

/** A request body. Only `stream` can't be sent a second time. */
export type RequestBody =
  | { readonly kind: 'none' }
  /** `isChunked`: it came without a Content-Length, and goes on without one. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly isChunked: boolean }
  | {
      readonly kind: 'stream';
      readonly chunks: AsyncIterable<Uint8Array>;
      /** Announced length in bytes; undefined when chunked. */
      readonly length: number | undefined;
    };

interface AnswerHead {
  readonly status: number;
  readonly headers: HeaderList;
}

/** An answer that may be given to several callers, kept, and looked into. */
export interface WholeAnswer extends AnswerHead {
  readonly body: Uint8Array;
}

/** An answer for one reader. Cancelling the stream ends the upstream request behind it. */
export interface StreamedAnswer extends AnswerHead {
  readonly body: ReadableStream<Uint8Array>;
}

/** What a client gets. */
export type Answer = WholeAnswer | StreamedAnswer;

export interface Exchange {
  readonly method: string;
  /** Path and query as received, byte for byte where the runtime shows them. */
  readonly target: string;
  readonly headers: HeaderList;
  /** IP address of the peer, '' when unknown. */
  readonly clientAddress: string;
  /** Such as `HTTP/1.1`; '' where the runtime doesn't say. */
  readonly protocol: string;
  /** Reads up to `limitBytes`; what is longer comes as a stream. Called at most once. */
  readBody(limitBytes: number): RequestBody | Promise<RequestBody>;
  /** Calls `gone` at most once, if the client goes away before it was answered. @returns unsubscribe */
  onClientGone(gone: () => void): () => void;
  respond(answer: Answer): Response | Promise<Response>;
}

/** The platform's way to see a request: implemented for Node and for Web runtimes. */
export type OpenExchange = (request: Request, bindings: unknown) => Exchange;

export const NO_BODY: RequestBody = { kind: 'none' };
export const EMPTY: Uint8Array = new Uint8Array(0);

const encoder = new TextEncoder();

export function isWhole(answer: Answer): answer is WholeAnswer {
  return answer.body instanceof Uint8Array;
}

/** First value of a header; `lowerName` in lower case. */
export function headerOf(headers: HeaderList, lowerName: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return headers[i + 1];
  }
  return undefined;
}

/** The list without every header of these names (lower case). */
export function withoutHeaders(headers: HeaderList, lowerNames: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!lowerNames.has(name.toLowerCase())) kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

/** A plain text answer, in the form in which an agent reports errors. */
export function textAnswer(status: number, text: string): WholeAnswer {
  return { status, headers: ['Content-Type', 'text/plain; charset=utf-8'], body: encoder.encode(text) };
}
