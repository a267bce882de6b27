/** Clients that read, write, compare and delete keys, each value written once in the whole run. */

import { type Random, randomInt } from '../../shared/env.ts';
import type { KvOutput } from '../history/kv-model.ts';
import type { Recorder } from './recorder.ts';
import type { ChaosInput } from './run-history.ts';
import type { Target } from './target.ts';

export interface Workload {
  readonly target: Target;
  readonly recorder: Recorder;
  readonly random: Random;
  /** How long a client waits for an answer. */
  readonly timeoutMs: number;
  /** Aborted when no new operation should start. */
  readonly stop: AbortSignal;
}

/** Keys change every so often, so that each history stays short enough to be judged with certainty. */
const GENERATION_MS = 30_000;
const KEYS_AT_A_TIME = 4;
const PAUSE_MS = 25;
/** Watched, so these stay for the whole run. */
export const WATCHED_PREFIX = 'kv/watched/';
const WATCHED_KEYS = 2;

/** Works until the workload stops. */
export async function runKvClient(workload: Workload, client: number): Promise<void> {
  const { recorder, random, stop } = workload;
  /** The ModifyIndex of each key as this client has seen it last. */
  const seen = new Map<string, number>();
  for (let turn = 0; !stop.aborted; turn++) {
    const key = pickKey(random, recorder.now());
    const input = pickInput(random, `c${client}-${turn}`, seen.get(key) ?? 0);
    const output = await sendKv(workload, client, key, input);
    if (output?.kind === 'value') seen.set(key, output.modifyIndex);
    await pause(random.next() * 2 * PAUSE_MS);
  }
}

/** One operation on a key, recorded. */
export async function sendKv(
  { target, recorder, timeoutMs }: Workload,
  client: number,
  key: string,
  input: ChaosInput,
): Promise<KvOutput | undefined> {
  const { output } = await recorder.operation(
    { client, key, input },
    () => target.send({ ...kvRequest(key, input), timeoutMs }),
    (status, text) => parseKv(input, status, text),
  );
  return output;
}

export function kvRequest(
  key: string,
  { kind, value = '', index, session, isConsistent }: ChaosInput,
): { readonly method: 'GET' | 'PUT' | 'DELETE'; readonly path: string; readonly body?: string } {
  const path = `/v1/kv/${key}`;
  switch (kind) {
    case 'get':
      return { method: 'GET', path: isConsistent === true ? `${path}?consistent` : path };
    case 'put':
      return { method: 'PUT', path, body: value };
    case 'cas':
      return { method: 'PUT', path: `${path}?cas=${index}`, body: value };
    case 'delete':
      return { method: 'DELETE', path };
    case 'delete-cas':
      return { method: 'DELETE', path: `${path}?cas=${index}` };
    case 'acquire':
    case 'release':
      return { method: 'PUT', path: `${path}?${kind}=${session}`, body: value };
    default:
      throw new Error(`no such operation: ${kind satisfies never}`);
  }
}

/** One entry of `GET /v1/kv/:key`. */
export interface KvEntry {
  readonly Key: string;
  readonly Value: string | null;
  readonly ModifyIndex: number;
  readonly Session?: string;
}

/** undefined: the request was refused and had no effect. @throws Error for an answer that no server may give */
export function parseKv({ kind }: ChaosInput, status: number, text: string): KvOutput | undefined {
  if (kind === 'get') {
    if (status === 404) return { kind: 'value', value: null, modifyIndex: 0 };
    if (status !== 200) throw new Error(`a read was answered ${status} ${text}`);
    const [entry] = JSON.parse(text) as KvEntry[];
    if (entry === undefined) throw new Error('a read was answered with an empty list');
    const { Value, ModifyIndex: modifyIndex, Session } = entry;
    const value = Buffer.from(Value ?? '', 'base64').toString();
    return { kind: 'value', value, modifyIndex, ...(Session === undefined ? {} : { session: Session }) };
  }
  if (status !== 200) return undefined;
  return { kind: 'done', applied: text.trim() === 'true' };
}

function pickKey(random: Random, nowMs: number): string {
  if (random.next() < 0.15) return `${WATCHED_PREFIX}${randomInt(random, WATCHED_KEYS)}`;
  return `kv/${Math.floor(nowMs / GENERATION_MS)}/${randomInt(random, KEYS_AT_A_TIME)}`;
}

function pickInput(random: Random, value: string, seenIndex: number): ChaosInput {
  const chance = random.next();
  if (chance < 0.25) return { kind: 'get', isConsistent: true };
  if (chance < 0.4) return { kind: 'get' };
  if (chance < 0.6) return { kind: 'put', value };
  if (chance < 0.9) return { kind: 'cas', value, index: seenIndex };
  // A deletion by index 0 is refused: it can't mean anything.
  if (chance < 0.95 && seenIndex > 0) return { kind: 'delete-cas', index: seenIndex };
  return { kind: 'delete' };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
