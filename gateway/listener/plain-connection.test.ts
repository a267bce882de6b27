import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { textAnswer, type WholeAnswer } from '../exchange/exchange.ts';
import type { PlainExchange } from '../exchange/plain-exchange.ts';
import { eventually } from '../testing/fake-pool.ts';
import { createPlainLane, type PlainLane } from './plain-connection.ts';

let server: Server;
let lane: PlainLane;
let port: number;
let env: ReturnType<typeof simulatedEnv>;
/** What the lane and node:http were asked, in order. */
let plain: PlainExchange[];
let odd: string[];
/** The server's side of the last connection. */
let accepted: Socket | undefined;
let answer: (exchange: PlainExchange) => Promise<unknown>;
const clients: Client[] = [];

class Client {
  readonly socket: Socket;
  seen = '';
  isClosed = false;

  constructor() {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.seen += chunk.toString('latin1');
    });
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    this.socket.on('error', () => undefined);
    clients.push(this);
  }

  say(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  async sees(text: string): Promise<void> {
    await eventually(() => this.seen.includes(text), `${text} in ${this.seen}`);
  }
}

beforeEach(async () => {
  env = simulatedEnv(1);
  plain = [];
  odd = [];
  answer = async (exchange) => exchange.respond(textAnswer(200, `plain ${exchange.target}`));
  server = createServer((incoming, outgoing) => {
    odd.push(`${incoming.method} ${incoming.url}`);
    incoming.resume();
    incoming.on('end', () => outgoing.end(`odd ${incoming.url}`));
  });
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  lane = createPlainLane({
    requestTimeoutMs: 300_000,
    maxHeaderBytes: 1024 * 1024,
    clock: env.clock,
    onExchange: (exchange) => {
      plain.push(exchange);
      return answer(exchange);
    },
    handOver: (socket: Socket) => {
      for (const listener of listeners) listener.call(server, socket);
      socket.resume();
    },
  });
  server.on('connection', (socket: Socket) => {
    accepted = socket;
    lane.accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  lane.destroyAll();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

describe('a connection', () => {
  test('serves request after request, those sent ahead in their order', async () => {
    const client = new Client().say(get('/v1/a') + get('/v1/b') + get('/v1/c'));
    await client.sees('plain /v1/c');
    expect(client.seen.match(/plain \/v1\/\w/g)).toEqual(['plain /v1/a', 'plain /v1/b', 'plain /v1/c']);
    client.say(get('/v1/d'));
    await client.sees('plain /v1/d');
    expect(odd).toEqual([]);
  });

  test('takes a request in whatever pieces it comes', async () => {
    const client = new Client();
    for (const character of 'PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc') {
      client.say(character);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.sees('plain /v1/kv/a');
    expect(await plain[0]?.readBody(10)).toMatchObject({ kind: 'bytes', bytes: Buffer.from('abc') });
  });

  test('is handed over with what is unread as soon as something is odd', async () => {
    const client = new Client().say(get('/v1/a') + get('/metrics') + get('/v1/b'));
    await client.sees('odd /v1/b');
    expect(plain).toHaveLength(1);
    expect(odd).toEqual(['GET /metrics', 'GET /v1/b']);
  });

  test('a chunked body and a long one go to node:http whole', async () => {
    const chunked =
      'PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
    await new Client().say(chunked).sees('odd /v1/kv/a');
    const long = `PUT /v1/kv/b HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`;
    await new Client().say(long).sees('odd /v1/kv/b');
  });

  test('that smuggles a second request behind a framing nobody agrees on never reaches an agent', async () => {
    const client = new Client().say(
      'PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/kv/b HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.sees('HTTP/1.1 400');
    expect(plain).toEqual([]);
  });

  test('tells the request that its client is gone, once, and not after the answer', async () => {
    let gone = 0;
    answer = (exchange) => {
      exchange.onClientGone(() => gone++);
      return new Promise(() => undefined);
    };
    const client = new Client().say(get('/v1/a'));
    await eventually(() => plain.length === 1, 'the request');
    client.socket.destroy();
    await eventually(() => gone === 1, 'the end of the client');
    answer = async (exchange) => {
      exchange.onClientGone(() => gone++);
      return exchange.respond(textAnswer(200, 'done'));
    };
    const other = new Client().say(get('/v1/b'));
    await other.sees('done');
    other.socket.destroy();
    await eventually(() => other.isClosed, 'the end of the other');
    expect(gone).toBe(1);
  });

  test('that sends more and more ahead is not read any further', async () => {
    answer = () => new Promise(() => undefined);
    const client = new Client().say(get('/v1/a'));
    await eventually(() => plain.length === 1, 'the request');
    for (let i = 0; i < 400; i++) client.say(get(`/v1/${'x'.repeat(50_000)}`));
    await eventually(() => client.socket.writableLength > 0, 'the client is held up');
    expect(plain).toHaveLength(1);
  });
});

describe('an answer', () => {
  const answers = (given: WholeAnswer) => {
    answer = async (exchange) => exchange.respond(given);
  };

  test('has its length, a date and the headers of the agent', async () => {
    const body = Buffer.from('body');
    answers({ status: 404, headers: ['X-Consul-Index', '7', 'Content-Length', '99'], body });
    const client = new Client().say(get('/v1/a'));
    await client.sees('body');
    expect(client.seen).toBe(
      'HTTP/1.1 404 Not Found\r\nX-Consul-Index: 7\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=120\r\nContent-Length: 4\r\n\r\nbody'.replace(
        /Date: [^\r]*/,
        `Date: ${new Date(env.clock.nowMs()).toUTCString()}`,
      ),
    );
  });

  test('304 and 204 have no body and no length of their own', async () => {
    answers({ status: 204, headers: [], body: Buffer.from('lost') });
    const client = new Client().say(get('/v1/a'));
    await client.sees('\r\n\r\n');
    expect(client.seen).not.toMatch(/lost|Content-Length/);
  });

  test('can’t smuggle a header or another answer', async () => {
    answers({
      status: 200,
      headers: ['X-Reason', 'a\r\nSet-Cookie: b', 'X-Good', 'c'],
      body: Buffer.from('ok'),
    });
    const client = new Client().say(get('/v1/a'));
    await client.sees('ok');
    expect(client.seen).toContain('X-Good: c');
    expect(client.seen).not.toContain('Set-Cookie');
  });

  test('that says close, or that comes while the listener closes, ends the connection', async () => {
    answers({ status: 200, headers: ['Connection', 'close'], body: Buffer.from('bye') });
    const client = new Client().say(get('/v1/a') + get('/v1/b'));
    await eventually(() => client.isClosed, 'the end');
    expect(client.seen.match(/bye/g)).toHaveLength(1);
    expect(client.seen).toContain('Connection: close');

    let finish: () => void = () => undefined;
    answer = (exchange) =>
      new Promise<void>((resolve) => {
        finish = () => {
          exchange.respond(textAnswer(200, 'late'));
          resolve();
        };
      });
    const waiting = new Client().say(get('/v1/a'));
    const idle = new Client().say('');
    await eventually(() => plain.length === 2, 'the request');
    lane.close();
    await eventually(() => idle.isClosed, 'the idle one');
    finish();
    await eventually(() => waiting.isClosed, 'the waiting one');
    expect(waiting.seen).toContain('late');
  });

  test('the same for many is one buffer, and right again when something else follows', async () => {
    const shared = { status: 200, headers: ['A', '1'], body: Buffer.from('shared') };
    answers(shared);
    const many = Array.from({ length: 5 }, () => new Client().say(get('/v1/a')));
    for (const client of many) await client.sees('shared');
    answers({ ...shared, headers: ['A', '2'] });
    const other = new Client().say(get('/v1/a'));
    await other.sees('A: 2');
    answers({ ...shared, status: 500 });
    await other.say(get('/v1/a')).sees('HTTP/1.1 500');
  });

  test('a stream is chunked, and cut where the agent broke off', async () => {
    let sink: ReadableStreamDefaultController<Uint8Array> | undefined;
    answer = async (exchange) =>
      exchange.respond({
        status: 200,
        headers: [],
        body: new ReadableStream({
          start: (controller) => {
            sink = controller;
          },
        }),
      });
    const client = new Client().say(get('/v1/agent/monitor'));
    await client.sees('\r\n\r\n');
    sink?.enqueue(Buffer.from('line\n'));
    await client.sees('5\r\nline\n\r\n');
    sink?.close();
    await client.sees('0\r\n\r\n');
    await client.say(get('/v1/agent/monitor')).sees('0\r\n\r\nHTTP/1.1 200');
    sink?.error(new Error('broken'));
    await eventually(() => client.isClosed, 'the cut');
  });
});

describe('time', () => {
  test('an idle connection ends after two minutes, one that never asked or does not finish asking after one', async () => {
    const mute = new Client();
    const slow = new Client().say('GET /v1/a HTTP/1.1\r\n');
    const idle = new Client().say(get('/v1/a'));
    await idle.sees('plain');
    env.clock.advance(59_000);
    expect(slow.isClosed).toBe(false);
    env.clock.advance(7000);
    await eventually(() => slow.isClosed, 'the slow one');
    expect(slow.seen).toContain('408');
    await eventually(() => mute.isClosed, 'the mute one');
    expect([mute.seen, idle.isClosed]).toEqual(['', false]);
    env.clock.advance(60_000);
    await eventually(() => idle.isClosed, 'the idle one');
  });

  test('a request in progress has all the time it needs', async () => {
    answer = () => new Promise(() => undefined);
    const client = new Client().say(get('/v1/a'));
    await eventually(() => plain.length === 1, 'the request');
    env.clock.advance(600_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.isClosed).toBe(false);
  });

  test('a client that takes nothing of its answer for a minute is cut off', async () => {
    const body = new Uint8Array(32 * 1024 * 1024);
    answer = async (exchange) => exchange.respond({ status: 200, headers: [], body });
    const client = new Client();
    client.socket.pause();
    client.say(get('/v1/a'));
    await eventually(() => plain.length === 1, 'the request');
    env.clock.advance(55_000);
    expect(accepted?.destroyed).toBe(false);
    env.clock.advance(15_000);
    await eventually(() => accepted?.destroyed === true, 'the end of the connection');
  });
});

test('node:http’s own client is served plainly', async () => {
  const outgoing = httpRequest({
    host: '127.0.0.1',
    port,
    path: '/v1/kv/a',
    headers: { Connection: 'keep-alive' },
  });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  expect([text, plain.length]).toEqual(['plain /v1/kv/a', 1]);
});
