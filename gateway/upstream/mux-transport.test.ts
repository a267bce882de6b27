import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MAX_BODY_BYTES, RESET, WINDOW_BYTES } from '../../shared/mux/frames.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { type Answer, isWhole, NO_BODY, type RequestBody } from '../exchange/exchange.ts';
import { FakeMuxAgent, type MuxAgentRequest } from '../testing/fake-mux-agent.ts';
import { eventually } from '../testing/fake-pool.ts';
import { createMuxTransport } from './mux-transport.ts';
import { type Transport, UpstreamError, type UpstreamRequest } from './transport.ts';
import { createUndiciTransport } from './undici-transport.ts';

const LIMITS = {
  maxConnections: 4,
  maxWaits: 4,
  answerLimitBytes: 512 * 1024,
  maxHeaderBytes: 65_536,
  connectTimeoutMs: 2000,
};

let agent: FakeMuxAgent;
let transport: Transport;
let env: ReturnType<typeof simulatedEnv>;

beforeEach(async () => {
  env = simulatedEnv(1);
  agent = await FakeMuxAgent.start();
  transport = createMuxTransport({ ...LIMITS, fallback: createUndiciTransport(LIMITS), clock: env.clock });
});

afterEach(async () => {
  await transport.close();
  await agent.die();
});

const ask = (changes: Partial<UpstreamRequest> = {}): Promise<Answer> =>
  transport.send(agent.url, {
    method: 'GET',
    target: '/v1/kv/a',
    headers: ['Accept', '*/*'],
    body: NO_BODY,
    delivery: 'whole',
    isWait: false,
    timeoutMs: 9000,
    ...changes,
  });

const kindOf = (answer: Promise<Answer>) =>
  answer.then(
    () => 'answered',
    (error: unknown) => (error instanceof UpstreamError ? error.kind : String(error)),
  );

const textOf = (answer: Answer) => (isWhole(answer) ? Buffer.from(answer.body).toString() : 'a stream');
const arrived = (count: number) => eventually(() => agent.requests.length === count, `${count} requests`);
const echo = ({ stream, head }: MuxAgentRequest) =>
  agent.say((frames) =>
    frames.response(stream, true, 200, 'X-Consul-Index\n7', Buffer.from(`mux ${head[1]}`)),
  );

/** Opens the connection, so that what follows is about an open one. */
async function connected(): Promise<void> {
  agent.onRequest = echo;
  await ask();
  agent.onRequest = () => undefined;
  agent.requests.splice(0);
}

describe('requests', () => {
  test('share one connection, with all that HTTP would say', async () => {
    agent.onRequest = echo;
    const answers = await Promise.all(
      ['/v1/kv/a', '/v1/kv/b?x', '/v1/kv/c'].map((target) => ask({ target })),
    );
    expect(answers.map(textOf)).toEqual(['mux /v1/kv/a', 'mux /v1/kv/b?x', 'mux /v1/kv/c']);
    expect(answers[0]?.headers).toEqual(['X-Consul-Index', '7']);
    expect(agent.connections).toBe(1);
    const bytes = Buffer.from('abc');
    await ask({ method: 'PUT', body: { kind: 'bytes', bytes, isChunked: false } });
    await ask({ method: 'PUT', body: { kind: 'bytes', bytes, isChunked: true } });
    expect(agent.requests.slice(3)).toMatchObject([
      { head: ['PUT', '/v1/kv/a', 'Accept', '*/*', 'Content-Length', '3'], body: 'abc' },
      { head: ['PUT', '/v1/kv/a', 'Accept', '*/*', 'Transfer-Encoding', 'chunked'], body: 'abc' },
    ]);
  });

  test('send long bodies piece by piece', async () => {
    const long = 'x'.repeat(3 * WINDOW_BYTES);
    const bodies: RequestBody[] = [
      { kind: 'bytes', bytes: Buffer.from(long), isChunked: false },
      { kind: 'stream', chunks: pieces(long), length: undefined },
    ];
    for (const [i, body] of bodies.entries()) {
      const answer = ask({ method: 'PUT', body });
      await eventually(() => agent.requests[i]?.isComplete === true, 'the whole body');
      const request = agent.requests[i];
      expect(request?.body).toBe(long);
      if (request !== undefined) echo(request);
      await answer;
    }
  });

  test('with a part that could pass as another header are not sent', async () => {
    await connected();
    expect(await kindOf(ask({ headers: ['A', 'b\nX-Consul-Token\nc'] }))).toBe('not-sent');
    expect(await kindOf(ask({ target: '/v1/kv/a\nA\nb' }))).toBe('not-sent');
    expect(agent.requests).toEqual([]);
  });
});

describe('answers', () => {
  test('in pieces are put together', async () => {
    const answer = ask();
    await arrived(1);
    agent.say((frames) => {
      frames.response(1, false, 200, '', Buffer.from('a'));
      frames.data(1, false, Buffer.from('b'));
      frames.data(1, true, Buffer.from('c'));
    });
    expect(textOf(await answer)).toBe('abc');
  });

  test('over the limit, and those asked for as streams, come as streams that ask for more only when they are read', async () => {
    const answer = ask({ delivery: 'stream' });
    await arrived(1);
    const piece = Buffer.alloc(MAX_BODY_BYTES, 's');
    agent.say((frames) => {
      frames.response(1, false, 200, '');
      for (let sent = 0; sent < WINDOW_BYTES; sent += MAX_BODY_BYTES) frames.data(1, false, piece);
    });
    const { body } = await answer;
    if (body instanceof Uint8Array) throw new Error('no stream');
    const reader = body.getReader();
    let size = (await reader.read()).value?.length ?? 0;
    for (; size < WINDOW_BYTES; ) size += (await reader.read()).value?.length ?? 0;
    await eventually(() => agent.grantedBytes >= WINDOW_BYTES / 2, 'a wider window');
    agent.say((frames) => frames.data(1, true, new Uint8Array(0)));
    expect((await reader.read()).done).toBe(true);

    const large = ask();
    await arrived(2);
    agent.say((frames) => {
      frames.response(2, false, 200, '');
      for (let i = 0; i < 10; i++) frames.data(2, false, piece);
    });
    const streamed = await large;
    expect(isWhole(streamed)).toBe(false);
    if (!isWhole(streamed)) await streamed.body.cancel();
    await eventually(() => agent.resets.includes(2), 'the end upstream');
  });
});

describe('failures', () => {
  test('nobody listens, or nobody answers the upgrade: not sent', async () => {
    await agent.die();
    expect(await kindOf(ask())).toBe('not-sent');
    await agent.listen(0);
    agent.offers = 'silent';
    const silent = kindOf(ask());
    await eventually(() => env.clock.nextDueMs() !== undefined, 'the limit');
    env.clock.advance(LIMITS.connectTimeoutMs + 1);
    expect(await silent).toBe('not-sent');
  });

  test('the connection breaks after sending: may have been applied', async () => {
    await connected();
    const answer = kindOf(ask());
    await arrived(1);
    agent.breakConnections();
    expect(await answer).toBe('broken');
    agent.onRequest = echo;
    expect(textOf(await ask())).toBe('mux /v1/kv/a');
    expect(agent.connections).toBe(2);
  });

  test('the agent refuses, or is about to end: not sent', async () => {
    await connected();
    const refused = kindOf(ask());
    await arrived(1);
    agent.say((frames) => frames.reset(agent.requests[0]?.stream ?? 0, RESET.refused));
    expect(await refused).toBe('not-sent');
    const [served, late] = [ask(), kindOf(ask())];
    await arrived(3);
    const stream = agent.requests[1]?.stream ?? 0;
    agent.say((frames) => {
      frames.goaway(stream);
      frames.response(stream, true, 200, '', Buffer.from('last'));
    });
    expect([textOf(await served), await late]).toEqual(['last', 'not-sent']);
    agent.onRequest = echo;
    await ask();
    expect(agent.connections).toBe(2);
  });

  test('the agent breaks its answer off', async () => {
    const answer = kindOf(ask());
    await arrived(1);
    agent.say((frames) => {
      frames.response(1, false, 200, '', Buffer.from('half'));
      frames.reset(1, RESET.broken);
    });
    expect(await answer).toBe('broken');
  });

  test('no answer in time, and the agent hears that nobody waits any more', async () => {
    await connected();
    const answer = kindOf(ask({ timeoutMs: 1000 }));
    await arrived(1);
    env.clock.advance(1200);
    expect(await answer).toBe('timeout');
    await eventually(() => agent.resets.length === 1, 'the reset');
  });

  test('abandoned while it waits, and while the connection is being opened', async () => {
    let abort: (reason: UpstreamError) => void = () => undefined;
    const onStart = (given: typeof abort) => {
      abort = given;
    };
    const reason = new UpstreamError('abandoned', 'the client went away');
    const opening = kindOf(ask({ onStart }));
    abort(reason);
    expect(await opening).toBe('abandoned');
    await connected();
    const waiting = kindOf(ask({ onStart, isWait: true, timeoutMs: 0 }));
    await arrived(1);
    abort(reason);
    expect(await waiting).toBe('abandoned');
    await eventually(() => agent.resets.length === 1, 'the reset');
  });

  test('an agent that gives no sign of life counts as dead; one that answers pings may take its time', async () => {
    await connected();
    const answer = kindOf(ask({ isWait: true, timeoutMs: 0 }));
    await arrived(1);
    for (let second = 0; second < 30; second++) {
      env.clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
      await eventually(() => agent.pings >= Math.floor(second / 6), 'the pings');
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(agent.pings).toBeGreaterThan(2);
    agent.answersPings = false;
    env.clock.advance(20_000);
    expect(await answer).toBe('broken');
  });

  test('more requests than the agent takes are not sent', async () => {
    agent.maxStreams = 2;
    await connected();
    const open = [kindOf(ask()), kindOf(ask())];
    expect(await kindOf(ask())).toBe('not-sent');
    agent.breakConnections();
    expect(await Promise.all(open)).toEqual(['broken', 'broken']);
  });

  test('noise from an agent ends the connection', async () => {
    const answer = kindOf(ask());
    await arrived(1);
    agent.sayBytes(Buffer.alloc(64, 0xff));
    expect(await answer).toBe('broken');
  });
});

describe('an agent that does not offer it', () => {
  test('is reached by HTTP, and asked again after a minute', async () => {
    agent.offers = 'http';
    expect(textOf(await ask())).toBe('http /v1/kv/a');
    expect(textOf(await ask())).toBe('http /v1/kv/a');
    expect(agent.byHttp.filter((target) => target.endsWith('/mux'))).toHaveLength(1);
    agent.offers = 'mux';
    agent.onRequest = echo;
    env.clock.advance(61_000);
    expect(textOf(await ask())).toBe('mux /v1/kv/a');
  });

  test('ends a request that is abandoned like any other', async () => {
    agent.offers = 'http';
    await ask();
    expect(transport.maxWaits?.(agent.url)).toBeUndefined();
  });
});

test('replaces a connection whose stream numbers are used up', async () => {
  await transport.close();
  const fallback = createUndiciTransport(LIMITS);
  transport = createMuxTransport({ ...LIMITS, fallback, clock: env.clock, maxRequests: 2 });
  const answers = [ask(), ask()];
  await arrived(2);
  agent.onRequest = echo;
  answers.push(ask());
  for (const request of agent.requests.slice(0, 2)) echo(request);
  agent.requests.splice(0);
  expect((await Promise.all(answers)).map(textOf)).toEqual(Array(3).fill('mux /v1/kv/a'));
  expect(agent.connections).toBe(2);
});

test('tells how many waits an agent takes, and drops the connection to one that left', async () => {
  await connected();
  expect(transport.maxWaits?.(agent.url)).toBe(100);
  const last = ask();
  await arrived(1);
  transport.forget(agent.url);
  const [request] = agent.requests;
  if (request !== undefined) echo(request);
  expect(textOf(await last)).toBe('mux /v1/kv/a');
  agent.onRequest = echo;
  await ask();
  expect(agent.connections).toBe(2);
});

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += 100_000) yield Buffer.from(text.slice(at, at + 100_000));
}
