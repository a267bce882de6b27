import { beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import { type Answer, isWhole, NO_BODY } from '../exchange/exchange.ts';
import { type Counters, createCounters } from '../operations/counters.ts';
import { NodePool } from './node-pool.ts';
import { POOL_PATH } from './pool-listing.ts';
import { createPoolPoller } from './pool-poller.ts';
import { createRetryBudget } from './retry-budget.ts';
import { createSend, type PoolRequest, type Send } from './send.ts';
import { type Transport, UpstreamError, type UpstreamErrorKind, type UpstreamRequest } from './transport.ts';

type Script = (url: string, request: UpstreamRequest) => Answer | UpstreamErrorKind | Promise<Answer>;

const SERVERS = ['http://s1', 'http://s2', 'http://s3'];
const reply = (status: number, text = ''): Answer => ({
  status,
  headers: [],
  body: new TextEncoder().encode(text),
});
const textOf = (answer: Answer) => (isWhole(answer) ? new TextDecoder().decode(answer.body) : 'stream');
const NO_LEADER = reply(500, 'rpc error making call: No cluster leader');

let env: SimulatedEnv;
let pool: NodePool;
let counters: Counters;
let leader: string | undefined;
let script: Script;
let asked: string[];
let maxAttempts: number;

/** Polls are answered from `leader`; everything else by the script. */
const transport: Transport = {
  send: async (url, request) => {
    const outcome = request.target === POOL_PATH ? listing() : script(url, request);
    if (request.target !== POOL_PATH) asked.push(url.slice(7));
    if (typeof outcome === 'string') throw new UpstreamError(outcome, `scripted ${outcome}`);
    return outcome;
  },
  forget: () => undefined,
  close: async () => undefined,
};

function listing(): Answer {
  const agents = SERVERS.map((httpAddress) => ({
    node: httpAddress.slice(7),
    id: '',
    role: 'server',
    status: 'alive',
    httpAddress,
    isLeader: httpAddress === leader,
  }));
  return reply(200, JSON.stringify(agents));
}

async function setUp(): Promise<Send> {
  const { clock, random } = env;
  const seeds = SERVERS;
  const poller = createPoolPoller({
    pool,
    transport,
    seeds,
    pollMs: 1000,
    sharesWork: true,
    clock,
    random,
    logger: silentLogger,
  });
  await poller.refresh();
  const budget = createRetryBudget();
  return createSend({
    pool,
    poller,
    transport,
    budget,
    retryDeadlineMs: 10_000,
    maxWaits: 2,
    maxAttempts,
    hedges: true,
    counters,
    clock,
    random,
  });
}

const request = (changes: Partial<PoolRequest> = {}): PoolRequest => ({
  method: 'PUT',
  target: () => '/v1/kv/a',
  headers: [],
  body: NO_BODY,
  prefer: { kind: 'leader' },
  replay: 'if-not-applied',
  delivery: 'whole',
  isWait: false,
  timeoutMs: () => 1000,
  ...changes,
});

beforeEach(() => {
  env = simulatedEnv(7);
  pool = new NodePool(SERVERS, env.random);
  counters = createCounters();
  leader = 'http://s1';
  script = () => reply(200, 'true');
  asked = [];
  maxAttempts = Number.POSITIVE_INFINITY;
});

/** Runs simulated time until the promise is settled. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const done = promise.finally(() => {
    isSettled = true;
  });
  done.catch(() => undefined);
  for (let i = 0; i < 5000 && !isSettled; i++) await env.clock.advanceAsync(10);
  return done;
}

describe('a write', () => {
  test('goes to the leader', async () => {
    const send = await setUp();
    expect(textOf(await send(request()))).toBe('true');
    expect(asked).toEqual(['s1']);
  });

  test('that was refused before it was sent is tried elsewhere at once', async () => {
    const send = await setUp();
    script = (url) => (url === 'http://s1' ? 'not-sent' : reply(200, 'true'));
    expect(textOf(await send(request()))).toBe('true');
    expect(asked.length).toBe(2);
    expect(counters.retries.get('not-sent')).toBe(1);
  });

  test('waits out a leader change', async () => {
    const send = await setUp();
    leader = undefined;
    const electedMs = env.clock.monotonicMs() + 3000;
    env.clock.setTimer(3000, () => {
      leader = 'http://s2';
    });
    script = (url) => (url === leader ? reply(200, 'true') : NO_LEADER);
    expect(textOf(await inTime(send(request())))).toBe('true');
    expect(asked.at(-1)).toBe('s2');
    expect(env.clock.monotonicMs() - electedMs).toBeLessThan(1000);
    expect(asked.length).toBeLessThan(30);
  });

  test('without a leader until the deadline gets the agent’s own words', async () => {
    const send = await setUp();
    script = () => NO_LEADER;
    const startMs = env.clock.monotonicMs();
    const answer = await inTime(send(request()));
    expect([answer.status, textOf(answer)]).toEqual([500, 'rpc error making call: No cluster leader']);
    expect(env.clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(10_000);
  });

  test.each<[UpstreamErrorKind, number]>([
    ['broken', 502],
    ['timeout', 504],
  ])('that may have been applied (%s) is not repeated', async (kind, status) => {
    const send = await setUp();
    script = () => kind;
    await expect(send(request())).rejects.toMatchObject({ status, applied: 'unknown' });
    expect(asked).toEqual(['s1']);
  });

  test('that is repeatable is repeated', async () => {
    const send = await setUp();
    script = (url) => (url === 'http://s1' ? 'broken' : reply(200, 'true'));
    expect((await send(request({ replay: 'always' }))).status).toBe(200);
  });

  test('under a request ID is repeated until an agent has done it', async () => {
    const send = await setUp();
    const outcomes: (Answer | UpstreamErrorKind)[] = [
      'broken',
      NO_LEADER,
      'timeout',
      reply(500, 'leadership lost while committing log'),
      reply(503, 'Agent is shutting down'),
    ];
    script = () => outcomes.shift() ?? reply(200, 'true');
    expect(textOf(await inTime(send(request({ replay: 'once' }))))).toBe('true');
  });

  test.each<[string, Answer | UpstreamErrorKind, number]>([
    ['nobody can be reached', 'not-sent', 502],
    ['nobody leads', NO_LEADER, 502],
    ['nobody answers', 'timeout', 504],
  ])('under a request ID that broke once stays unknown when then %s', async (_, after, status) => {
    const send = await setUp();
    script = () => (asked.length === 0 ? 'broken' : after);
    await expect(inTime(send(request({ replay: 'once' })))).rejects.toMatchObject({
      status,
      applied: 'unknown',
    });
  });

  test('under a request ID that never left was not applied', async () => {
    const send = await setUp();
    script = () => 'not-sent';
    const failure = { status: 503, applied: 'no' };
    await expect(inTime(send(request({ replay: 'once' })))).rejects.toMatchObject(failure);
    script = () => NO_LEADER;
    expect((await inTime(send(request({ replay: 'once' })))).status).toBe(500);
  });

  test('whose validation failed is answered at once', async () => {
    const send = await setUp();
    script = () => reply(500, 'Must provide node');
    expect(textOf(await send(request()))).toBe('Must provide node');
    expect(asked).toEqual(['s1']);
  });
});

describe('a read', () => {
  const read = (changes: Partial<PoolRequest> = {}) =>
    request({ method: 'GET', replay: 'always', prefer: { kind: 'any' }, ...changes });

  test('goes elsewhere when the connection breaks or no answer comes', async () => {
    for (const kind of ['broken', 'timeout', 'not-sent'] as const) {
      const send = await setUp();
      let first: string | undefined;
      script = (url) => {
        first ??= url;
        return url === first ? kind : reply(200, 'fine');
      };
      expect(textOf(await inTime(send(read())))).toBe('fine');
    }
  });

  test('with nobody there: 503 that says so, after the deadline', async () => {
    const send = await setUp();
    script = () => 'not-sent';
    await expect(inTime(send(read()))).rejects.toMatchObject({ status: 503, applied: 'no' });
    expect(asked.length).toBeGreaterThan(3);
    expect(asked.length).toBeLessThan(200);
  });

  test('has a number of attempts where the platform counts them', async () => {
    maxAttempts = 5;
    const send = await setUp();
    script = () => 'not-sent';
    await expect(inTime(send(read()))).rejects.toMatchObject({ status: 503 });
    expect(asked).toHaveLength(5);
  });

  test('to one agent only is tried once', async () => {
    const send = await setUp();
    script = () => 'not-sent';
    const only = read({ prefer: { kind: 'only', url: 'http://s2' }, deadlineMs: 0 });
    await expect(send(only)).rejects.toMatchObject({ applied: 'no' });
    expect(asked).toEqual(['s2']);
  });

  test('that is late is asked of another agent, the loser is cancelled, and a slow agent is left alone', async () => {
    const send = await setUp();
    let slow = '';
    let cancelled = 0;
    script = (url, { onStart }) =>
      new Promise((resolve, reject) => {
        const timer = env.clock.setTimer(url === slow ? 400 : 2, () => resolve(reply(200, url)));
        onStart?.((reason) => {
          timer.cancel();
          cancelled++;
          reject(reason);
        });
      });
    for (let i = 0; i < 100; i++) await inTime(send(read()));
    expect(counters.hedges.get('sent')).toBe(0);
    slow = 'http://s2';
    for (let i = 0; i < 1500; i++) await inTime(send(read()));
    const won = counters.hedges.get('won');
    expect(won).toBeGreaterThan(5);
    expect([counters.hedges.get('sent'), cancelled]).toEqual([won, won]);
    expect(counters.ejections.get('slow')).toBeGreaterThan(0);
    // A third of all reads would be lost there, were it not left alone most of the time.
    const before = counters.hedges.get('won');
    for (let i = 0; i < 300; i++) await inTime(send(read()));
    expect(counters.hedges.get('won') - before).toBeLessThan(60);
  });

  test('that must be current is never asked twice', async () => {
    const send = await setUp();
    script = () => new Promise((resolve) => env.clock.setTimer(50, () => resolve(reply(200, 'fine'))));
    for (let i = 0; i < 80; i++) await inTime(send(read({ prefer: { kind: 'leader' } })));
    expect(asked.filter((url) => url !== 's1')).toEqual([]);
  });

  test('ends when its caller leaves', async () => {
    const send = await setUp();
    const cancel = { isCancelled: false, onCancel: () => () => undefined };
    script = () => {
      cancel.isCancelled = true;
      return 'abandoned';
    };
    await expect(send(read({ cancel }))).rejects.toThrow();
    expect(asked.length).toBe(1);
  });
});

test('waits have a bound for each agent, and a text when all are full', async () => {
  const send = await setUp();
  const finishers: (() => void)[] = [];
  script = () => new Promise((resolve) => finishers.push(() => resolve(reply(200, 'done'))));
  const wait = () => send(request({ method: 'GET', replay: 'always', isWait: true }));
  const waiting = Array.from({ length: 6 }, wait);
  expect(asked.toSorted()).toEqual(['s1', 's1', 's2', 's2', 's3', 's3']);
  await expect(wait()).rejects.toThrow('Too many blocking queries');
  for (const finish of finishers) finish();
  await Promise.all(waiting);
  void wait();
  expect(asked.length).toBe(7);
});

test('the streams of an agent count as waits until they end', async () => {
  const send = await setUp();
  script = () => ({ status: 200, headers: [], body: new Response('line').body ?? new ReadableStream() });
  const answer = await send(request({ method: 'GET', replay: 'always', isWait: true, delivery: 'stream' }));
  expect(pool.byName('s1')?.waits).toBe(1);
  expect(await new Response(answer.body as ReadableStream<Uint8Array>).text()).toBe('line');
  expect(pool.byName('s1')?.waits).toBe(0);
});
