/** Clients that take turns at one lock, and when each could be certain to hold it. */

import { type Random, randomInt, sleep } from '../../../shared/env.ts';
import type { Hold } from '../../history/locks.ts';
import { SESSION_TTL_MS } from './agents.ts';
import { ask, describe, inMicroseconds, type Recorder } from './clients.ts';
import type { Access } from './gateways.ts';

export const LOCK_NODE = 'lock-holders';

export interface LockerOptions {
  readonly number: number;
  readonly access: Access;
  readonly random: Random;
  readonly recorder: Recorder;
  readonly key: string;
  readonly rounds: number;
  readonly held: (hold: Hold) => void;
}

/** Margin for clocks that run at another pace than the one that the holds are measured with. */
const CERTAIN_MS = SESSION_TTL_MS * 0.9;

export async function runLocker(options: LockerOptions): Promise<void> {
  const { random, recorder } = options;
  for (let i = 0; i < options.rounds && !recorder.isOver(); i++) {
    await sleep(recorder.clock, 50 + randomInt(random, 300));
    await oneRound(options);
  }
}

async function oneRound(options: LockerOptions): Promise<void> {
  const { recorder, access } = options;
  const { clock } = recorder;
  let renewedAtMs = clock.monotonicMs();
  const session = await createSession(options);
  if (session === undefined) return;
  if (!(await acquire(options, session))) {
    await ask(recorder, access, { method: 'PUT', target: `/v1/session/destroy/${session}` });
    return;
  }
  const from = clock.monotonicMs();
  // Holds on for a while; a renewal counts from when it was asked for.
  let end = await holdUntil(options, renewedAtMs);
  for (let i = randomInt(options.random, 4); i > 0 && clock.monotonicMs() < end; i--) {
    const askedAtMs = clock.monotonicMs();
    const target = `/v1/session/renew/${session}`;
    const renewed = await ask(recorder, access, { method: 'PUT', target }, CERTAIN_MS);
    if (renewed.kind !== 'answer' || renewed.answer.status !== 200) break;
    renewedAtMs = askedAtMs;
    end = await holdUntil(options, renewedAtMs);
  }
  const to = Math.min(end, clock.monotonicMs());
  recorder.trace(`locker ${options.number} held ${options.key} from ${from.toFixed(1)} to ${to.toFixed(1)}`);
  options.held({ session, key: options.key, from: inMicroseconds(from), to: inMicroseconds(to) });
  // A third just vanish: their sessions must end by themselves.
  if (options.random.next() < 0.33) return;
  const target =
    options.random.next() < 0.5
      ? `/v1/session/destroy/${session}`
      : `/v1/kv/${options.key}?release=${session}`;
  await ask(recorder, access, { method: 'PUT', target, body: 'free' });
}

/** Works under the lock for some time. @returns until when it is certain to hold it */
async function holdUntil({ random, recorder }: LockerOptions, renewedAtMs: number): Promise<number> {
  await sleep(recorder.clock, random.next() * SESSION_TTL_MS * 0.7);
  return renewedAtMs + CERTAIN_MS;
}

async function createSession({ access, number, recorder }: LockerOptions): Promise<string | undefined> {
  const body = JSON.stringify({
    Node: LOCK_NODE,
    Name: `locker ${number}`,
    NodeChecks: [],
    TTL: `${SESSION_TTL_MS}ms`,
    LockDelay: '0s',
  });
  const answered = await ask(recorder, access, { method: 'PUT', target: '/v1/session/create', body });
  if (answered.kind === 'answer' && answered.answer.status === 200)
    return (JSON.parse(answered.answer.text) as { ID: string }).ID;
  recorder.trace(`locker ${number} gets no session: ${describe(answered)}`);
  return undefined;
}

async function acquire(options: LockerOptions, session: string): Promise<boolean> {
  const { access, key, number, recorder } = options;
  for (let attempt = 0; attempt < 3; attempt++) {
    const request = { method: 'PUT', target: `/v1/kv/${key}?acquire=${session}`, body: `${number}` } as const;
    const answered = await ask(recorder, access, request);
    recorder.trace(`locker ${number} acquires by ${session.slice(0, 8)}: ${describe(answered)}`);
    if (answered.kind !== 'answer' || answered.answer.status !== 200) return false;
    if (answered.answer.text === 'true') return true;
    await sleep(recorder.clock, 100 + randomInt(options.random, 200));
  }
  return false;
}
