/** Last-known-good answers: what stale-allowed reads get, marked as such, when no agent answers. */

import type { Clock } from '../../shared/env.ts';
import { type Answer, isWhole, type WholeAnswer, withoutHeaders } from '../exchange/exchange.ts';
import type { SharedState } from './shared-state.ts';

export interface LastKnownGood {
  /** Remembers a good answer, at most once a second for each key. Never rejects; nobody needs to wait for it. */
  remember(key: string, answer: Answer): Promise<void>;
  /** @returns the answer with `X-Proconsul-Stale: true` and `Age`, unless there is none that is young enough */
  recall(key: string, maxStaleMs: number): Promise<WholeAnswer | undefined>;
}

export interface LastKnownGoodOptions {
  readonly state: SharedState;
  readonly keepMs: number;
  readonly clock: Clock;
}

interface StoredHead {
  readonly status: number;
  readonly headers: readonly string[];
  /** Wall clock, so that gateways can share it; clocks are expected to agree within seconds. */
  readonly storedMs: number;
}

const REWRITE_MS = 1000;
const MAX_KEYS = 10_000;
const MAX_BODY_BYTES = 1024 * 1024;

/** Told anew for each use; a stored Date or connection-bound value would be a lie. */
const NOT_KEPT: ReadonlySet<string> = new Set([
  'age',
  'date',
  'x-consul-knownleader',
  'x-consul-lastcontact',
]);

export function createLastKnownGood({ state, keepMs, clock }: LastKnownGoodOptions): LastKnownGood {
  /** When each key was last written, so that a hot read doesn't become a hot write. */
  const writtenMs = new Map<string, number>();

  const isDue = (key: string): boolean => {
    const nowMs = clock.monotonicMs();
    if (nowMs - (writtenMs.get(key) ?? Number.NEGATIVE_INFINITY) < REWRITE_MS) return false;
    writtenMs.delete(key);
    writtenMs.set(key, nowMs);
    const oldest = writtenMs.size > MAX_KEYS ? writtenMs.keys().next().value : undefined;
    if (oldest !== undefined) writtenMs.delete(oldest);
    return true;
  };

  return {
    remember: async (key, answer) => {
      if (keepMs === 0 || answer.status !== 200 || !isWhole(answer)) return;
      if (answer.body.length > MAX_BODY_BYTES || !isDue(key)) return;
      const head: StoredHead = {
        status: answer.status,
        headers: withoutHeaders(answer.headers, NOT_KEPT),
        storedMs: clock.nowMs(),
      };
      await state.set(await hashed(key), pack(head, answer.body), keepMs);
    },
    recall: async (key, maxStaleMs) => {
      const stored = await state.get(await hashed(key));
      const entry = stored === undefined ? undefined : unpack(stored);
      if (entry === undefined) return undefined;
      const ageMs = Math.max(0, clock.nowMs() - entry.head.storedMs);
      if (ageMs > Math.min(maxStaleMs, keepMs)) return undefined;
      return { status: entry.head.status, headers: marked(entry.head.headers, ageMs), body: entry.body };
    },
  };
}

function marked(headers: readonly string[], ageMs: number): string[] {
  const age = String(Math.floor(ageMs / 1000));
  const contact = ['X-Consul-Knownleader', 'false', 'X-Consul-Lastcontact', String(Math.floor(ageMs))];
  return [...headers, ...contact, 'Age', age, 'X-Proconsul-Stale', 'true'];
}

/** Keys hold tokens; only their SHA-256 leaves the process. */
async function hashed(key: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key));
  return `lkg:${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** Head as JSON, its length in four bytes before it, the body behind it. */
function pack(head: StoredHead, body: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(head));
  const packed = new Uint8Array(4 + json.length + body.length);
  new DataView(packed.buffer).setUint32(0, json.length);
  packed.set(json, 4);
  packed.set(body, 4 + json.length);
  return packed;
}

function unpack(packed: Uint8Array): { head: StoredHead; body: Uint8Array } | undefined {
  if (packed.length < 4) return undefined;
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0);
  const head = parseHead(packed.subarray(4, 4 + length));
  return head === undefined ? undefined : { head, body: packed.subarray(4 + length) };
}

/** Another version of the gateway may have written it: what doesn't fit counts as absent. */
function parseHead(json: Uint8Array): StoredHead | undefined {
  try {
    const head: unknown = JSON.parse(new TextDecoder().decode(json));
    if (typeof head !== 'object' || head === null) return undefined;
    const { status, headers, storedMs } = head as Partial<Record<keyof StoredHead, unknown>>;
    if (typeof status !== 'number' || typeof storedMs !== 'number' || !Array.isArray(headers))
      return undefined;
    if (!headers.every((part): part is string => typeof part === 'string')) return undefined;
    return { status, headers, storedMs };
  } catch {
    return undefined;
  }
}
