/** Writers that wait some seconds for each answer and go on after an error: what they see while a leader fails. */

import http from 'node:http';

export interface WriteGaps {
  readonly acknowledged: number;
  /** Answers other than 200, broken connections, and answers that took longer than the patience. */
  readonly errors: number;
  /** The first few, in words. */
  readonly reasons: readonly string[];
  /** Longest time between any two acknowledged writes that followed each other, milliseconds. */
  readonly longestGapMs: number;
}

export interface WritersOptions {
  readonly url: URL;
  readonly writers: number;
  readonly patienceMs: number;
}

/** Nobody hammers a server that has just refused him. */
const PAUSE_AFTER_ERROR_MS = 20;
const MAX_REASONS = 3;

export interface Writers {
  acknowledged(): number;
  stop(): Promise<WriteGaps>;
}

/** Each writer keeps a connection and a key of its own. */
export function startWriters({ url, writers, patienceMs }: WritersOptions): Writers {
  const agent = new http.Agent({ keepAlive: true, maxSockets: writers });
  const counts = { acknowledged: 0, errors: 0, longestGapMs: 0, lastMs: performance.now() };
  const reasons = new Map<string, number>();
  let isOver = false;
  const acknowledge = () => {
    const now = performance.now();
    counts.acknowledged++;
    counts.longestGapMs = Math.max(counts.longestGapMs, now - counts.lastMs);
    counts.lastMs = now;
  };
  const write = async (writer: number): Promise<void> => {
    for (let turn = 0; !isOver; turn++) {
      const failure = await put(agent, new URL(`/v1/kv/gaps/${writer}`, url), String(turn), patienceMs);
      if (failure === undefined) {
        acknowledge();
        continue;
      }
      counts.errors++;
      if (reasons.size < MAX_REASONS || reasons.has(failure))
        reasons.set(failure, (reasons.get(failure) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_AFTER_ERROR_MS));
    }
  };
  const running = Array.from({ length: writers }, (_, writer) => write(writer));
  return {
    acknowledged: () => counts.acknowledged,
    async stop() {
      isOver = true;
      // A gap that is still open when the writers stop counts as well.
      const openMs = performance.now() - counts.lastMs;
      await Promise.all(running);
      agent.destroy();
      const { acknowledged, errors } = counts;
      const longestGapMs = Math.max(counts.longestGapMs, openMs);
      return {
        acknowledged,
        errors,
        longestGapMs,
        reasons: [...reasons].map(([text, n]) => `${n} × ${text}`),
      };
    },
  };
}

/** @returns what went wrong, if anything */
function put(agent: http.Agent, url: URL, value: string, patienceMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = { 'Content-Length': value.length };
    const request = http.request(url, { method: 'PUT', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('latin1');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        clearTimeout(limit);
        resolve(
          response.statusCode === 200 ? undefined : `${response.statusCode} ${text.trim().slice(0, 60)}`,
        );
      });
    });
    const limit = setTimeout(() => request.destroy(new Error(`no answer in ${patienceMs} ms`)), patienceMs);
    request.on('error', (error) => {
      clearTimeout(limit);
      resolve(error.message);
    });
    request.end(value);
  });
}
