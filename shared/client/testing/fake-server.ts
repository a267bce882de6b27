/** A `fetch` without a network: keeps what was asked and answers from a script. */

export interface Asked {
  readonly method: string;
  /** Path and query, still escaped. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface ScriptedAnswer {
  readonly status?: number;
  readonly index?: string;
  readonly body?: unknown;
  /** Answers only when the request is aborted, by failing as `fetch` does. */
  readonly hangs?: boolean;
}

export interface FakeServer {
  readonly asked: Asked[];
  readonly fetch: typeof fetch;
}

/** @param answers in order; the last one is given again and again */
export function fakeServer(...answers: readonly (ScriptedAnswer | Error)[]): FakeServer {
  const asked: Asked[] = [];
  const answer: typeof fetch = async (input, init = {}) => {
    const { pathname, search } = new URL(String(input));
    const { method = 'GET', headers, body, signal } = init;
    asked.push({
      method,
      target: pathname + search,
      headers: new Headers(headers),
      body: await new Response(body ?? null).text(),
    });
    const scripted = answers[Math.min(asked.length, answers.length) - 1] ?? {};
    if (scripted instanceof Error) throw scripted;
    if (scripted.hangs === true) return whenAborted(signal);
    const responseHeaders = new Headers({ 'X-Consul-Knownleader': 'true', 'X-Consul-Lastcontact': '7' });
    if (scripted.index !== undefined) responseHeaders.set('X-Consul-Index', scripted.index);
    const text = typeof scripted.body === 'string' ? scripted.body : JSON.stringify(scripted.body ?? null);
    return new Response(text, { status: scripted.status ?? 200, headers: responseHeaders });
  };
  return { asked, fetch: answer };
}

function whenAborted(signal: AbortSignal | null | undefined): Promise<Response> {
  return new Promise((_, reject) => {
    if (signal?.aborted === true) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
