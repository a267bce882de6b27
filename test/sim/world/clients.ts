/** Clients of a simulated cluster: what they ask, one thing at a time, and what they write down of it. */

import { headerOf } from '../../../gateway/exchange/exchange.ts';
import { type Random, sleep } from '../../../shared/env.ts';
import type { SimulatedClock } from '../../../shared/simulated-env.ts';
import type { KvInput, KvOperation, KvOutput } from '../../history/kv-model.ts';
import { type Access, type HttpAnswer, type HttpRequestText, NotSent } from './gateways.ts';

/** How long a client waits for an answer before it goes on without. */
const PATIENCE_MS = 12_000;

export type Answered =
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  /** Nobody was there to ask. */
  | { readonly kind: 'not-sent' }
  /** Nothing came, or nothing that says what became of it. */
  | { readonly kind: 'unknown' };

export interface Recorder {
  readonly clock: SimulatedClock;
  readonly trace: (line: string) => void;
  record(operation: KvOperation): void;
  /** Clients ask for nothing more. */
  isOver(): boolean;
}

/** Asks and waits no longer than a client would. */
export async function ask(
  { clock }: Pick<Recorder, 'clock'>,
  access: Access,
  request: HttpRequestText,
  patienceMs = PATIENCE_MS,
): Promise<Answered> {
  const answered = access.call(request).then(
    (answer) => ({ kind: 'answer', answer }) as const,
    (error: unknown) => ({ kind: error instanceof NotSent ? 'not-sent' : 'unknown' }) as const,
  );
  const tired = sleep(clock, patienceMs).then(() => ({ kind: 'unknown' }) as const);
  return Promise.race([answered, tired]);
}

export interface KvClientOptions {
  readonly number: number;
  readonly access: Access;
  readonly random: Random;
  readonly recorder: Recorder;
  readonly operations: number;
  /** Mean time between an answer and the next request. */
  readonly thinkMs: number;
  /** The keys in use at a moment: few, so that clients meet, and new ones every now and then. */
  readonly keyAt: (nowMs: number, random: Random) => string;
}

/** Reads and writes keys until its operations are used up. */
export async function runKvClient(options: KvClientOptions): Promise<void> {
  const { number, random, recorder, keyAt } = options;
  const indexes = new Map<string, number>();
  for (let i = 0; i < options.operations && !recorder.isOver(); i++) {
    await sleep(recorder.clock, options.thinkMs * 2 * random.next());
    const key = keyAt(recorder.clock.monotonicMs(), random);
    const input = chooseInput(random, `${number}.${i}`, indexes.get(key));
    const output = await operate(options, key, input);
    if (output?.kind === 'value') indexes.set(key, output.modifyIndex);
  }
}

function chooseInput(random: Random, value: string, index: number | undefined): KvInput {
  const choice = random.next();
  if (choice < 0.45) return { kind: 'get' };
  if (choice < 0.75) return { kind: 'put', value };
  if (choice < 0.92) return { kind: 'cas', value, index: index ?? 0 };
  if (choice < 0.96) return { kind: 'delete' };
  return { kind: 'delete-cas', index: index ?? 1 };
}

export interface OperateOptions {
  readonly number: number;
  readonly access: Access;
  readonly random: Random;
  readonly recorder: Recorder;
}

/** One operation from request to answer, written down. @returns undefined when its outcome is not known */
export async function operate(
  options: OperateOptions,
  key: string,
  input: KvInput,
): Promise<KvOutput | undefined> {
  const { access, number, random, recorder } = options;
  const { clock } = recorder;
  const start = clock.monotonicMs();
  const answered = await ask(recorder, access, requestFor(key, input, random));
  const output = outputOf(input, answered);
  recorder.trace(
    `client ${number} ${input.kind} ${key} ${input.value ?? ''}${input.index === undefined ? '' : ` at ${input.index}`}` +
      ` via ${access.name} since ${start.toFixed(1)}: ${describe(answered)}`,
  );
  if (output === 'nothing-done') return undefined;
  // A read that failed says nothing.
  if (output === undefined && input.kind === 'get') return undefined;
  const end = output === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs();
  recorder.record({
    client: number,
    key,
    input,
    output,
    start: inMicroseconds(start),
    end: inMicroseconds(end),
  });
  return output;
}

/** Whole microseconds, which read better than the clock's fractions. */
export function inMicroseconds(ms: number): number {
  return Math.round(ms * 1000);
}

function requestFor(key: string, input: KvInput, random: Random): HttpRequestText {
  const path = `/v1/kv/${key}`;
  switch (input.kind) {
    case 'get':
      return { method: 'GET', target: random.next() < 0.3 ? `${path}?consistent` : path };
    case 'put':
      return { method: 'PUT', target: path, body: input.value };
    case 'cas':
      return { method: 'PUT', target: `${path}?cas=${input.index}`, body: input.value };
    case 'acquire':
    case 'release':
      return { method: 'PUT', target: `${path}?${input.kind}=${input.session}`, body: input.value };
    case 'delete':
      return { method: 'DELETE', target: path };
    case 'delete-cas':
      return { method: 'DELETE', target: `${path}?cas=${input.index}` };
  }
}

/** Texts by which agents and gateways promise that nothing was changed. The history takes them at their word. */
const NOTHING_DONE =
  /^(?:rpc error making call: )*(?:No cluster leader|No known Consul servers)$|Nothing was changed/;

function outputOf(input: KvInput, answered: Answered): KvOutput | 'nothing-done' | undefined {
  if (answered.kind !== 'answer') return answered.kind === 'unknown' ? undefined : 'nothing-done';
  const { status, text, headers } = answered.answer;
  if (input.kind === 'get') {
    if (status === 404) {
      // Without an index it is not the store that answered.
      return headerOf(headers, 'x-consul-index') === undefined
        ? undefined
        : { kind: 'value', value: null, modifyIndex: 0 };
    }
    return status === 200 ? entryOf(text) : undefined;
  }
  if (status === 200) return { kind: 'done', applied: text === 'true' };
  return NOTHING_DONE.test(text) ? 'nothing-done' : undefined;
}

export function entryOf(text: string): (KvOutput & { kind: 'value' }) | undefined {
  const entry = entriesOf(text)[0];
  if (entry === undefined) return undefined;
  const value = Buffer.from(entry.Value ?? '', 'base64').toString('utf8');
  const session = entry.Session === undefined ? {} : { session: entry.Session };
  return { kind: 'value', value, modifyIndex: entry.ModifyIndex, ...session };
}

export interface ListedEntry {
  readonly Key: string;
  readonly Value: string | null;
  readonly ModifyIndex: number;
  readonly Session?: string;
}

export function entriesOf(text: string): readonly ListedEntry[] {
  return JSON.parse(text) as ListedEntry[];
}

export function describe(answered: Answered): string {
  if (answered.kind !== 'answer') return answered.kind === 'unknown' ? 'no answer' : 'nobody there';
  const { status, text } = answered.answer;
  return `${status} ${text.slice(0, 160)}`;
}
