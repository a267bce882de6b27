/** Numbered writes against a scripted pool: what is sent under which ID, and what the client is told. */

import { beforeEach, describe, expect, test } from 'vitest';
import { ConsulError } from '../../shared/errors.ts';
import {
  FORGOTTEN_REQUEST_ID,
  RESULT_NOT_KEPT,
  UNKNOWN_WRITE_SESSION,
  WRITE_SESSION_PATH,
} from '../../shared/request-id.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import { type Answer, isWhole, NO_BODY } from '../exchange/exchange.ts';
import type { PoolRequest, Send } from '../upstream/send.ts';
import { createWriteOnce, openThrough } from './write-once.ts';
import { createWriteSessions, type OpenOutcome, type WriteSessions } from './write-sessions.ts';

const FIRST = 'aaaaaaaaaaaaaaaa';
const SECOND = 'bbbbbbbbbbbbbbbb';
const WRITE: PoolRequest = {
  method: 'PUT',
  target: () => '/v1/kv/a',
  headers: ['X-Consul-Token', 't'],
  body: NO_BODY,
  prefer: { kind: 'leader' },
  replay: 'once',
  delivery: 'whole',
  isWait: false,
  timeoutMs: () => 1000,
};

const reply = (status: number, text: string): Answer => ({
  status,
  headers: [],
  body: new TextEncoder().encode(text),
});
const textOf = (answer: Answer) => (isWhole(answer) ? new TextDecoder().decode(answer.body) : 'stream');

let env: SimulatedEnv;
let outcomes: OpenOutcome[];
let opened: number;
let sent: string[];
let answers: Answer[];
let attemptsPerSend: number;

const send: Send = async (request) => {
  for (let attempt = 0; attempt < attemptsPerSend; attempt++) request.target();
  sent.push(`${request.replay} ${request.requestId ?? 'none'}`);
  return answers.shift() ?? reply(200, 'true');
};

function sessions(sharesWork = true): WriteSessions {
  const open = async () => {
    opened++;
    return outcomes.shift() ?? 'failed';
  };
  return createWriteSessions({ open, sharesWork, clock: env.clock });
}

beforeEach(() => {
  env = simulatedEnv(1);
  outcomes = [{ session: FIRST }, { session: SECOND }];
  opened = 0;
  sent = [];
  answers = [];
  attemptsPerSend = 1;
});

describe('numbers', () => {
  test('rise, and tell what is settled', async () => {
    const numbers = sessions();
    const [a, b, c] = await Promise.all([numbers.next(), numbers.next(), numbers.next()]);
    expect([a, b, c].map((write) => write?.requestId)).toEqual([
      `${FIRST}.1.1`,
      `${FIRST}.2.1`,
      `${FIRST}.3.1`,
    ]);
    expect(opened).toBe(1);
    b?.settle();
    expect((await numbers.next())?.requestId).toBe(`${FIRST}.4.1`);
    a?.settle();
    expect((await numbers.next())?.requestId).toBe(`${FIRST}.5.3`);
  });

  test('are done without for a minute where agents know no sessions, for a second where none could be opened', async () => {
    outcomes = ['unsupported', 'failed', { session: FIRST }];
    const numbers = sessions();
    expect(await numbers.next()).toBeUndefined();
    env.clock.advance(59_000);
    expect(await numbers.next()).toBeUndefined();
    expect(opened).toBe(1);
    env.clock.advance(1000);
    expect(await numbers.next()).toBeUndefined();
    expect(opened).toBe(2);
    env.clock.advance(1000);
    expect((await numbers.next())?.requestId).toBe(`${FIRST}.1.1`);
  });

  test('are drawn by each request for itself where requests share no work', async () => {
    const numbers = sessions(false);
    const both = await Promise.all([numbers.next(), numbers.next()]);
    expect(opened).toBe(2);
    expect(both.map((write) => write?.requestId)).toEqual([`${FIRST}.1.1`, `${FIRST}.2.1`]);
  });
});

describe('a write', () => {
  test('goes under an ID and is settled by its answer', async () => {
    const once = createWriteOnce(send, sessions());
    expect(textOf(await once(WRITE))).toBe('true');
    await once(WRITE);
    expect(sent).toEqual([`once ${FIRST}.1.1`, `once ${FIRST}.2.2`]);
  });

  test('goes without one, and is repeated less, when there is no session', async () => {
    outcomes = ['unsupported'];
    await createWriteOnce(send, sessions())(WRITE);
    expect(sent).toEqual(['if-not-applied none']);
  });

  test('opens another session when the agents have forgotten it', async () => {
    answers = [reply(409, UNKNOWN_WRITE_SESSION)];
    expect((await createWriteOnce(send, sessions())(WRITE)).status).toBe(200);
    expect(sent).toEqual([`once ${FIRST}.1.1`, `once ${SECOND}.1.1`]);
  });

  test('that no session fits goes without: another datacenter has its own', async () => {
    answers = [
      reply(409, UNKNOWN_WRITE_SESSION),
      reply(409, `rpc error making call: ${UNKNOWN_WRITE_SESSION}`),
    ];
    expect((await createWriteOnce(send, sessions())(WRITE)).status).toBe(200);
    expect(sent.at(-1)).toBe('if-not-applied none');
  });

  test.each([
    ['forgotten', 1, FORGOTTEN_REQUEST_ID],
    ['applied without a result', 1, RESULT_NOT_KEPT],
    ['in a session that went between two attempts', 2, UNKNOWN_WRITE_SESSION],
  ])('whose outcome nobody knows: %s', async (_, attempts, text) => {
    answers = [reply(409, text)];
    attemptsPerSend = attempts;
    const failure = await createWriteOnce(send, sessions())(WRITE).catch((error: unknown) => error);
    expect(failure).toMatchObject({ status: 502, code: 'outcome-unknown', applied: 'unknown' });
    expect(sent).toHaveLength(1);
  });

  test('passes on any other conflict: a transaction that failed is one', async () => {
    answers = [reply(409, '{"Results": null}')];
    expect(textOf(await createWriteOnce(send, sessions())(WRITE))).toBe('{"Results": null}');
  });
});

describe('opening', () => {
  const opening = (answer: Answer | ConsulError) =>
    openThrough(async (request) => {
      expect([request.method, request.target(), request.headers]).toEqual(['PUT', WRITE_SESSION_PATH, []]);
      if (answer instanceof ConsulError) throw answer;
      return answer;
    })();

  test.each<[string, Answer | ConsulError, OpenOutcome]>([
    ['a session', reply(200, `{"ID":"${FIRST}"}`), { session: FIRST }],
    ['no such route', reply(404, ''), 'unsupported'],
    ['something else', reply(200, '[]'), 'unsupported'],
    ['an ID of another form', reply(200, '{"ID":"x"}'), 'unsupported'],
    ['no leader', reply(500, 'No cluster leader'), 'failed'],
    ['nobody there', new ConsulError('no-servers', 503, 'nobody'), 'failed'],
  ])('%s', async (_, answer, outcome) => {
    expect(await opening(answer)).toEqual(outcome);
  });
});
