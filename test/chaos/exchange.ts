/** One HTTP request of the workload, and what can be said about its effect when no proper answer came. */

import { Agent, request } from 'undici';

export type Outcome =
  | { readonly kind: 'answered'; readonly status: number; readonly text: string; readonly index: number }
  /** It certainly had no effect. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** It may have had its effect, may have it later, or never. */
  | { readonly kind: 'unknown'; readonly reason: string };

export interface Exchange {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Nothing was sent: the connection itself could not be made. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'EADDRNOTAVAIL',
]);
/** Said by a server that has given up before it proposed anything, or by a gateway that has reached none. */
const NOT_PROPOSED =
  /^(?:rpc error (?:making call|getting client): )?No cluster leader$|Nothing was changed\./;
const CONNECT_TIMEOUT_MS = 1500;

export class Connections implements Disposable {
  readonly #agent = new Agent({ connections: 64, connect: { timeout: CONNECT_TIMEOUT_MS } });

  /** Never throws. Answers with a status from 500 up count as none, except where they rule an effect out. */
  async send(base: string, exchange: Exchange): Promise<Outcome> {
    const { method, path, body, timeoutMs, signal } = exchange;
    const limit = AbortSignal.timeout(timeoutMs);
    try {
      const response = await request(`${base}${path}`, {
        method,
        dispatcher: this.#agent,
        signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.body.text();
      const { statusCode: status, headers } = response;
      if (status === 429 || (status >= 500 && NOT_PROPOSED.test(text.trim())))
        return { kind: 'failed', reason: `${status} ${text.trim()}` };
      if (status >= 500 && !isRefusal(text)) return { kind: 'unknown', reason: `${status} ${text.trim()}` };
      return { kind: 'answered', status, text, index: Number(headers['x-consul-index'] ?? 0) };
    } catch (error) {
      const code = codeOf(error);
      return { kind: NOT_CONNECTED.has(code) ? 'failed' : 'unknown', reason: code };
    }
  }

  [Symbol.dispose](): void {
    void this.#agent.destroy();
  }
}

/** A 500 by which the state machine itself refuses: an answer like any other. */
function isRefusal(text: string): boolean {
  return text.includes('invalid session');
}

function codeOf(error: unknown): string {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ('code' in each && typeof each.code === 'string') return each.code;
  }
  return error instanceof Error ? error.name : String(error);
}
