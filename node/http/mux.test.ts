import { request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrameReader } from '../../shared/mux/frame-reader.ts';
import { FrameWriter } from '../../shared/mux/frame-writer.ts';
import {
  headText,
  KIND,
  MAX_BODY_BYTES,
  MUX_PATH,
  MUX_PROTOCOL,
  RESET,
  WINDOW_BYTES,
} from '../../shared/mux/frames.ts';
import { MAX_STREAMS } from './mux-connection.ts';
import { MuxBody } from './mux-message.ts';
import { DEFAULT_HTTP_CONFIG } from './options.ts';
import { eventually, send, startTestServer, type TestServer } from './testing.ts';

/** A gateway's end of a connection, that says frames one by one and keeps what comes back. */
class Peer {
  readonly answers = new Map<number, { status: number; head: string; body: string; isEnd: boolean }>();
  readonly lines: string[] = [];
  isClosed = false;
  readonly #socket: Duplex;
  readonly #frames = new FrameWriter();
  readonly #reader = new FrameReader({
    onHello: (streams) => this.lines.push(`hello ${streams}`),
    onRequest: () => this.lines.push('request'),
    onResponse: (stream, isEnd, status, head, body) => {
      this.answers.set(stream, { status, head, body: body.toString(), isEnd });
    },
    onData: (stream, isEnd, bytes) => {
      const answer = this.answers.get(stream);
      if (answer !== undefined) this.answers.set(stream, { ...answer, body: answer.body + bytes, isEnd });
    },
    onWindow: (stream, bytes) => this.lines.push(`window ${stream} ${bytes}`),
    onReset: (stream, reason) => this.lines.push(`reset ${stream} ${reason}`),
    onPing: () => this.lines.push('ping'),
    onPong: (token) => this.lines.push(`pong ${token}`),
    onGoaway: (stream) => this.lines.push(`goaway ${stream}`),
  });

  constructor(socket: Duplex, firstBytes: Buffer) {
    this.#socket = socket;
    this.#reader.push(firstBytes);
    socket.on('data', (chunk: Buffer) => this.#reader.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  say(write: (frames: FrameWriter) => void): void {
    write(this.#frames);
    this.#socket.write(Buffer.concat(this.#frames.take()));
  }

  get(stream: number, target: string, headers: readonly string[] = []): void {
    this.say((frames) => frames.request(stream, true, headText(['GET', target], headers)));
  }

  sayBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  async answer(stream: number) {
    await eventually(() => this.answers.get(stream)?.isEnd === true);
    return this.answers.get(stream);
  }

  async line(text: string): Promise<void> {
    await eventually(() => this.lines.includes(text));
  }

  close(): void {
    this.#socket.destroy();
  }
}

function connect(server: TestServer, protocol = MUX_PROTOCOL): Promise<Peer | number> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const headers = { Connection: 'Upgrade', Upgrade: protocol };
    const outgoing = httpRequest({ host: hostname, port, path: MUX_PATH, agent: false, headers });
    outgoing.on('upgrade', (_response, socket, head) => resolve(new Peer(socket, head)));
    outgoing.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

let server: TestServer;
let peer: Peer;

beforeEach(async () => {
  server = await startTestServer();
  const connected = await connect(server);
  if (typeof connected === 'number') throw new Error(`refused with ${connected}`);
  peer = connected;
});

afterEach(async () => {
  peer.close();
  await server.server.close(0);
});

describe('the upgrade', () => {
  test('is answered with the number of streams that may be open', async () => {
    await peer.line(`hello ${MAX_STREAMS}`);
  });

  test('is refused for another version, a plain request and a blocked path', async () => {
    expect(await connect(server, 'proconsul-mux/2')).toBe(426);
    expect((await send(server, 'GET', MUX_PATH)).status).toBe(426);
    server.server.configure({ ...DEFAULT_HTTP_CONFIG, blockEndpoints: ['/v1/internal'] });
    expect(await connect(server)).toBe(403);
  });

  test('to anything else is ignored, as Go ignores it', async () => {
    server.backend.answer('Status.Leader', () => '10.0.0.1:8300');
    const headers = { Connection: 'Upgrade', Upgrade: 'websocket' };
    expect((await send(server, 'GET', '/v1/status/leader', { headers })).status).toBe(200);
  });
});

describe('requests', () => {
  test('are answered as by HTTP', async () => {
    server.backend.answer('KVS.Get', ({ key }: { key: string }) => [{ Key: key, Value: 'dg==' }]);
    peer.get(1, '/v1/kv/a%2Fb?pretty', ['X-Consul-Token', 'secret']);
    peer.get(2, '/v1/kv//x');
    peer.get(3, '/v1/nowhere');
    peer.get(4, '/v1/kv/%zz');
    const byHttp = await send(server, 'GET', '/v1/kv/a%2Fb?pretty');
    expect((await peer.answer(1))?.body).toBe(byHttp.text);
    expect(server.backend.calls[0]?.options).toMatchObject({ token: 'secret' });
    expect(await peer.answer(2)).toMatchObject({ status: 301 });
    expect(await peer.answer(3)).toMatchObject({ status: 404 });
    expect(await peer.answer(4)).toMatchObject({ status: 400, body: '400 Bad Request' });
    peer.say((frames) => frames.request(5, true, headText(['PATCH', '/v1/kv/a'], [])));
    expect(await peer.answer(5)).toMatchObject({ status: 405, body: 'method PATCH not allowed' });
  });

  test('answer when they are done, in any order', async () => {
    const release: (() => void)[] = [];
    server.backend.answer('KVS.Get', ({ key }: { key: string }) =>
      key === 'slow' ? new Promise((resolve) => release.push(() => resolve([]))) : [],
    );
    peer.get(1, '/v1/kv/slow');
    peer.get(2, '/v1/kv/quick');
    expect((await peer.answer(2))?.status).toBe(404);
    expect(peer.answers.has(1)).toBe(false);
    for (const go of release) go();
    expect((await peer.answer(1))?.status).toBe(404);
  });

  test('bring their body whole, or piece by piece within a window', async () => {
    const seen: number[] = [];
    server.backend.answer('KVS.Apply', ({ value }: { value: Uint8Array }) => {
      seen.push(value.length);
      return true;
    });
    peer.say((frames) =>
      frames.request(1, true, headText(['PUT', '/v1/kv/a'], ['Content-Length', '3']), Buffer.from('abc')),
    );
    expect((await peer.answer(1))?.body).toBe('true');
    const piece = Buffer.alloc(MAX_BODY_BYTES);
    peer.say((frames) => {
      frames.request(2, false, headText(['PUT', '/v1/kv/b'], ['Transfer-Encoding', 'chunked']), piece);
      for (let i = 0; i < 4; i++) frames.data(2, false, piece);
    });
    await eventually(() => peer.lines.some((line) => line.startsWith('window 2 ')));
    peer.say((frames) => frames.data(2, true, piece));
    expect((await peer.answer(2))?.body).toBe('true');
    expect(seen).toEqual([3, 6 * MAX_BODY_BYTES]);
  });

  test('over the limit are refused, and the rest of their body is stopped', async () => {
    const length = String(2 ** 30);
    peer.say((frames) => frames.request(1, false, headText(['PUT', '/v1/kv/a'], ['Content-Length', length])));
    expect((await peer.answer(1))?.status).toBe(413);
    await peer.line(`reset 1 ${RESET.cancelled}`);
  });

  test('with a long answer get it as far as their window goes', async () => {
    server.backend.answer('Catalog.ListServices', () => ({ long: ['x'.repeat(3 * WINDOW_BYTES)] }));
    peer.get(1, '/v1/catalog/services');
    peer.get(2, '/v1/status/peers');
    await eventually(() => (peer.answers.get(1)?.body.length ?? 0) === WINDOW_BYTES);
    // Others pass meanwhile.
    await eventually(() => peer.answers.get(2)?.isEnd === true);
    peer.say((frames) => frames.window(1, 4 * WINDOW_BYTES));
    const answer = await peer.answer(1);
    expect(answer?.body.length).toBe(Number(/Content-Length\n(\d+)/.exec(answer?.head ?? '')?.[1]));
  });

  test('whose long answers nobody reads are broken off before they fill the memory', async () => {
    const answerBytes = 16 * 1024 * 1024;
    server.backend.answer('Catalog.ListServices', () => ({ long: ['x'.repeat(answerBytes)] }));
    for (let stream = 1; stream <= 17; stream++) peer.get(stream, '/v1/catalog/services');
    await eventually(() => peer.answers.size === 15 && peer.lines.includes(`reset 17 ${RESET.broken}`));
    peer.say((frames) => frames.reset(1, RESET.cancelled));
    peer.get(18, '/v1/catalog/services');
    await eventually(() => peer.answers.has(18));
  });

  test('that are cancelled end their wait', async () => {
    let reason: unknown;
    server.backend.answer('KVS.Get', (_args, { signal }) => {
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          reason = signal.reason;
          reject(signal.reason);
        });
      });
    });
    peer.get(1, '/v1/kv/a?index=5');
    await eventually(() => server.backend.calls.length === 1);
    peer.say((frames) => frames.reset(1, RESET.cancelled));
    await eventually(() => reason !== undefined);
    expect(peer.answers.has(1)).toBe(false);
  });

  test('a ping is answered', async () => {
    peer.say((frames) => frames.ping(42));
    await peer.line('pong 42');
  });
});

describe('a peer that breaks the protocol loses its connection, and only that', () => {
  const open = headText(['PUT', '/v1/kv/a'], ['Transfer-Encoding', 'chunked']);
  test.each<[string, (frames: FrameWriter) => void]>([
    [
      'a stream that came before',
      (frames) => {
        frames.request(2, true, headText(['GET', '/v1/status/leader'], []));
        frames.request(1, true, headText(['GET', '/v1/status/leader'], []));
      },
    ],
    ['an answer', (frames) => frames.response(1, true, 200, '')],
    ['a hello', (frames) => frames.hello(1)],
    ['a pong', (frames) => frames.pong(1)],
    ['a request without a target', (frames) => frames.request(1, true, 'GET')],
    ['a header without a value', (frames) => frames.request(1, true, 'GET\n/\nAccept')],
    [
      'a window beyond all bounds',
      (frames) => {
        frames.request(1, false, open);
        frames.window(1, 2 ** 31);
      },
    ],
  ])('%s', async (_what, write) => {
    server.backend.answer('Status.Leader', () => '');
    peer.say(write);
    await eventually(() => peer.isClosed);
    expect((await send(server, 'GET', '/v1/status/leader')).status).toBe(200);
  });

  test('more data than the window allows', () => {
    const frames = new FrameWriter();
    const nothing = () => undefined;
    const body = new MuxBody(1, {
      frames: () => frames,
      forget: nothing,
      hold: () => true,
      release: nothing,
    });
    const piece = Buffer.alloc(MAX_BODY_BYTES);
    for (let bytes = 0; bytes < WINDOW_BYTES; bytes += MAX_BODY_BYTES)
      expect(body.receive(piece, false)).toBe(true);
    expect(body.receive(piece, false)).toBe(false);
  });

  test('noise', async () => {
    peer.sayBytes(Buffer.from([0xff, 0xff, 0xff, 0xff, KIND.request, 0, 0, 0, 1]));
    await eventually(() => peer.isClosed);
  });
});

describe('the end of the agent', () => {
  test('lets what is in progress finish and refuses what is new', async () => {
    let finish: () => void = () => undefined;
    server.backend.answer('KVS.Get', () => new Promise((resolve) => (finish = () => resolve([]))));
    peer.get(1, '/v1/kv/a');
    await eventually(() => server.backend.calls.length === 1);
    const closed = server.server.close(60_000);
    await peer.line('goaway 1');
    peer.get(2, '/v1/kv/b');
    await peer.line(`reset 2 ${RESET.refused}`);
    finish();
    expect((await peer.answer(1))?.status).toBe(404);
    await closed;
    await eventually(() => peer.isClosed);
  });

  test('ends waits with an answer', async () => {
    server.backend.answer('KVS.Get', (_args, { signal }) => {
      return new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason)),
      );
    });
    peer.get(1, '/v1/kv/a?index=5');
    await eventually(() => server.backend.calls.length === 1);
    const closed = server.server.close(60_000);
    expect(await peer.answer(1)).toMatchObject({ status: 503, body: 'Agent is shutting down' });
    await closed;
  });
});
