/**
 * Clients that take turns with locks, each with a session.
 *
 * A client claims to hold a lock only while it can prove it: from the answer to its acquire up to the start of its last
 * request that could only be answered so while its session lived. A session without node checks ends by its TTL alone, and
 * not sooner, so its holder may claim the TTL after each renewal without any proof.
 */

import { randomInt } from '../../shared/env.ts';
import { kvRequest, parseKv, pause, sendKv, type Workload } from './kv-clients.ts';
import type { ChaosInput } from './run-history.ts';

const LOCKS = 2;
const GENERATION_MS = 30_000;
const TTL_SECONDS = 10;
const RENEWAL_MS = 700;
const PAUSE_MS = 50;

interface Session {
  readonly id: string;
  /** Ends by its TTL and by nothing else but a request. */
  readonly endsByTtlOnly: boolean;
  /** The latest time at which it is known to have lived. */
  provenAt: number;
}

/** Works until the workload stops; the session is ended then. */
export async function runLockClient(workload: Workload, client: number): Promise<void> {
  const { random, recorder, stop } = workload;
  let session: Session | undefined;
  for (let turn = 0; !stop.aborted; turn++) {
    session ??= await createSession(workload);
    if (session === undefined) await pause(200);
    else {
      const key = `lock/${Math.floor(recorder.now() / GENERATION_MS)}/${randomInt(random, LOCKS)}`;
      const lives = await tryLock(workload, client, session, key, turn);
      if (!lives) session = undefined;
    }
    await pause(random.next() * 2 * PAUSE_MS);
  }
  if (session !== undefined) await endSession(workload, session);
}

/** @returns whether the session may be used again */
async function tryLock(
  workload: Workload,
  client: number,
  session: Session,
  key: string,
  turn: number,
): Promise<boolean> {
  const { recorder, target, timeoutMs } = workload;
  const input: ChaosInput = { kind: 'acquire', value: `l${client}-${turn}`, session: session.id };
  const { output, outcome, start } = await recorder.operation(
    { client, key, input },
    () => target.send({ ...kvRequest(key, input), timeoutMs }),
    (status, text) => parseKv(input, status, text),
  );
  const mayHold = outcome.kind === 'unknown' || (output?.kind === 'done' && output.applied);
  // Its end frees the lock, asked for or not, and no one sees when.
  if (mayHold) noteSessionEnd(workload, client, session, key, start);
  if (outcome.kind === 'answered' && output === undefined) return false;
  if (!mayHold) return true;
  if (outcome.kind === 'unknown') {
    await endSession(workload, session);
    return false;
  }
  session.provenAt = start;
  return await hold(workload, client, session, key, turn);
}

/** Keeps the lock for a while, and claims the time of which it can be certain. */
async function hold(
  workload: Workload,
  client: number,
  session: Session,
  key: string,
  turn: number,
): Promise<boolean> {
  const { recorder, random, stop } = workload;
  const from = recorder.now();
  const until = from + random.next() * 3000;
  let lives = true;
  while (lives && recorder.now() < until && !stop.aborted) {
    await pause(RENEWAL_MS * random.next());
    if (random.next() < 0.5) lives = await renew(workload, session);
    else await sendKv(workload, client, key, { kind: 'get', isConsistent: true });
  }
  const asked = recorder.now();
  if (!lives || random.next() < 0.3) {
    claim(workload, session, key, from, asked);
    await endSession(workload, session);
    return false;
  }
  const input: ChaosInput = { kind: 'release', value: `r${client}-${turn}`, session: session.id };
  const output = await sendKv(workload, client, key, input);
  // Only who has held it all the time can release it.
  if (output?.kind === 'done' && output.applied) session.provenAt = asked;
  claim(workload, session, key, from, asked);
  if (output !== undefined) return true;
  await endSession(workload, session);
  return false;
}

function claim({ recorder }: Workload, session: Session, key: string, from: number, asked: number): void {
  const byTtl = session.endsByTtlOnly ? session.provenAt + TTL_SECONDS * 1000 : 0;
  const to = Math.min(asked, Math.max(session.provenAt, byTtl));
  recorder.holds.push({ session: session.id, key, from, to });
}

async function createSession({
  target,
  random,
  timeoutMs,
  recorder,
}: Workload): Promise<Session | undefined> {
  const endsByTtlOnly = random.next() < 0.5;
  const definition = {
    Name: 'chaos',
    TTL: `${TTL_SECONDS}s`,
    LockDelay: random.next() < 0.5 ? '0s' : '1s',
    ...(endsByTtlOnly ? { NodeChecks: [] } : {}),
  };
  const provenAt = recorder.now();
  const outcome = await target.send({
    method: 'PUT',
    path: '/v1/session/create',
    body: JSON.stringify(definition),
    timeoutMs,
  });
  if (outcome.kind === 'answered' && outcome.status === 200) {
    return { id: (JSON.parse(outcome.text) as { ID: string }).ID, endsByTtlOnly, provenAt };
  }
  recorder.note({
    reason: outcome.kind === 'answered' ? `${outcome.status} ${outcome.text}` : outcome.reason,
  });
  return undefined;
}

/** @returns whether it still lives, as far as is known */
async function renew({ target, timeoutMs, recorder }: Workload, session: Session): Promise<boolean> {
  const start = recorder.now();
  const path = `/v1/session/renew/${session.id}`;
  const outcome = await target.send({ method: 'PUT', path, timeoutMs });
  if (outcome.kind !== 'answered') {
    recorder.note(outcome);
    return true;
  }
  if (outcome.status !== 200) return false;
  session.provenAt = start;
  return true;
}

async function endSession({ target, timeoutMs, recorder }: Workload, session: Session): Promise<void> {
  const path = `/v1/session/destroy/${session.id}`;
  const outcome = await target.send({ method: 'PUT', path, timeoutMs });
  if (outcome.kind !== 'answered') recorder.note(outcome);
}

function noteSessionEnd(
  { recorder }: Workload,
  client: number,
  session: Session,
  key: string,
  start: number,
): void {
  const input: ChaosInput = { kind: 'release', session: session.id };
  recorder.operations.push({ client, key, input, output: undefined, start, end: Number.POSITIVE_INFINITY });
}
