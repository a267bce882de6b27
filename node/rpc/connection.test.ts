import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import { ConsulError, refused } from '../../shared/errors.ts';
import { silentLogger } from '../../shared/log.ts';
import { SeededRandom, simulatedEnv } from '../../shared/simulated-env.ts';
import { backoffMs, ConnectionPool } from './connection-pool.ts';
import { dial } from './dial.ts';
import { FRAME_TYPE, frameHeader, PREFACE } from './frame.ts';
import { createRpcListener, type RpcListener, type RpcListenerOptions } from './listener.ts';
import { packRequest, type RpcReply, type RpcRequest } from './messages.ts';

type Answer = (request: RpcRequest, signal: AbortSignal | undefined) => Promise<RpcReply>;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen(answer: Answer, more: Partial<RpcListenerOptions> = {}): Promise<RpcListener> {
  const listener = createRpcListener({
    bindAddress: '127.0.0.1',
    port: 0,
    env: realEnv,
    log: silentLogger,
    service: { answer },
    onRaftStream: (socket) => socket.destroy(),
    ...more,
  });
  await listener.start();
  cleanups.push(() => listener.stop());
  return listener;
}

function newPool(): ConnectionPool {
  const pool = new ConnectionPool(realEnv);
  cleanups.push(() => pool.close());
  return pool;
}

function request(kind: RpcRequest['kind'], args: object, minIndex = 0): RpcRequest {
  return {
    kind,
    name: 'Test.Echo',
    args,
    datacenter: '',
    token: '',
    consistency: 'default',
    maxStaleMs: undefined,
    minIndex,
    waitMs: 0,
    pretty: false,
    isForwarded: false,
    traceparent: undefined,
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(setImmediate);
}

const echo: Answer = async ({ args }) => ({ kind: 'write', result: args });
const addressOf = (listener: RpcListener) => `127.0.0.1:${listener.port()}`;
const never = () => new Promise<never>(() => {});

async function failure(promise: Promise<unknown>): Promise<ConsulError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConsulError);
  return error as ConsulError;
}

describe('calls', () => {
  test('many in flight, answered in any order', async () => {
    const waiting: (() => void)[] = [];
    const listener = await listen(async ({ args }) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      if (waiting.length === 0) throw new Error('unreachable');
      return { kind: 'write', result: args };
    });
    const pool = newPool();
    const calls = Array.from({ length: 50 }, (_, n) =>
      pool.call(addressOf(listener), request('write', { n })),
    );
    while (waiting.length < 50) await new Promise(setImmediate);
    for (const go of [...waiting].reverse()) go();
    const replies = await Promise.all(calls);
    expect(replies.map((reply) => (reply.kind === 'write' ? reply.result : undefined))).toEqual(
      Array.from({ length: 50 }, (_, n) => ({ n })),
    );
  });

  test('a value of 512 KiB goes and a text of 20 MiB comes back', async () => {
    const body = Buffer.alloc(20 * 1024 * 1024, 0x61);
    const listener = await listen(async ({ kind, args }) => {
      const meta = { index: 1, knownLeader: true, lastContactMs: 0 };
      return kind === 'json'
        ? { kind, reply: { meta, body, isEmpty: false } }
        : { kind: 'write', result: args };
    });
    const pool = newPool();
    const value = Buffer.alloc(512 * 1024, 0xff);
    const [sent, json] = await Promise.all([
      pool.call(addressOf(listener), request('write', { value })),
      pool.call(addressOf(listener), request('json', {})),
    ]);
    expect(sent.kind === 'write' && (sent.result as { value: Buffer }).value.equals(value)).toBe(true);
    expect(json.kind === 'json' && Buffer.compare(json.reply.body, body)).toBe(0);
  });

  test('a request above the limit is refused without being sent', async () => {
    const listener = await listen(echo);
    const error = await failure(
      newPool().call(addressOf(listener), request('write', { value: Buffer.alloc(5 * 1024 * 1024) })),
    );
    expect([error.code, error.applied]).toEqual(['too-large', 'no']);
  });

  test('errors carry code and status, and the prefix once', async () => {
    const listener = await listen(async ({ args }) => {
      throw refused((args as { text: string }).text);
    });
    const pool = newPool();
    const call = (text: string) => failure(pool.call(addressOf(listener), request('write', { text })));
    expect((await call('Must provide node')).message).toBe('rpc error making call: Must provide node');
    expect((await call('rpc error making call: x')).message).toBe('rpc error making call: x');
    expect((await call('No cluster leader')).message).toBe('rpc error making call: No cluster leader');
    expect((await call('a')).status).toBe(500);
  });

  test('an abort cancels the blocking query at the other end', async () => {
    let reason: unknown;
    let isAsked = false;
    const listener = await listen((_request, signal) => {
      isAsked = true;
      signal?.addEventListener('abort', () => {
        reason = signal.reason;
      });
      return never();
    });
    const pool = newPool();
    const controller = new AbortController();
    const call = pool.call(addressOf(listener), request('read', {}, 5), controller.signal);
    while (!isAsked) await new Promise(setImmediate);
    controller.abort(new Error('gone'));
    await expect(call).rejects.toThrow('gone');
    while (reason === undefined) await new Promise(setImmediate);
    expect(reason).toBeInstanceOf(ConsulError);
  });

  test('the connection of a caller that went away takes its blocking queries along', async () => {
    let isAborted = false;
    const listener = await listen((_request, signal) => {
      signal?.addEventListener('abort', () => {
        isAborted = true;
      });
      return never();
    });
    const pool = new ConnectionPool(realEnv);
    const call = failure(pool.call(addressOf(listener), request('read', {}, 5)));
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    pool.close();
    await call;
    while (!isAborted) await new Promise(setImmediate);
  });
});

describe('lost connections', () => {
  test('what was written is unknown, what was not reached is certain', async () => {
    let sockets = 0;
    const listener = await listen(() => {
      sockets++;
      return never();
    });
    const pool = newPool();
    const lost = failure(pool.call(addressOf(listener), request('write', {})));
    while (sockets === 0) await new Promise(setImmediate);
    await listener.stop();
    const error = await lost;
    expect([error.code, error.applied]).toEqual(['outcome-unknown', 'unknown']);
    expect(error.message).toBe('rpc error making call: EOF');

    const unreached = await failure(pool.call(addressOf(listener), request('write', {})));
    expect([unreached.code, unreached.applied]).toEqual(['outcome-unknown', 'no']);
    expect(unreached.message).toMatch(
      /^rpc error getting client: failed to get conn: dial tcp .*connection refused$/,
    );
  });

  test('a peer that comes back is reached again', async () => {
    const first = await listen(echo);
    const port = first.port();
    const pool = newPool();
    await pool.call(addressOf(first), request('write', {}));
    await first.stop();
    await failure(pool.call(`127.0.0.1:${port}`, request('write', {})));
    await listen(echo, { port });
    for (;;) {
      const reply = await pool.call(`127.0.0.1:${port}`, request('write', { n: 1 })).catch(() => undefined);
      if (reply === undefined) continue;
      expect(reply).toEqual({ kind: 'write', result: { n: 1 } });
      return;
    }
  });

  test('a peer that no longer reacts is given up when others say that it is gone', async () => {
    const env = simulatedEnv(1);
    const sockets: Socket[] = [];
    const silent = createServer((socket) => {
      socket.on('error', () => {});
      sockets.push(socket.resume());
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const pool = new ConnectionPool(env);
    cleanups.push(() => pool.close());
    const ask = () => failure(pool.call(address, request('write', {})));
    const probed = ask();
    await until(() => sockets.some((socket) => socket.bytesRead > 5));
    pool.probe(address);
    env.clock.advance(1001);
    expect(await probed).toMatchObject({ message: 'rpc error making call: i/o timeout', applied: 'unknown' });
    const ignored = ask();
    await until(() => sockets.length === 2 && (sockets[1]?.bytesRead ?? 0) > 5);
    for (let i = 0; i < 4; i++) env.clock.advance(3001);
    expect((await ignored).message).toBe('rpc error making call: i/o timeout');
  });

  test('back-off grows to a second and has jitter', () => {
    expect([0, 1, 2, 3, 10].map((n) => backoffMs(n, 0.999))).toEqual(
      [50, 100, 200, 400, 1000].map((ms) => expect.closeTo(ms, -1)),
    );
    expect(backoffMs(10, 0)).toBe(500);
  });
});

describe('the listener', () => {
  function rawConnection(
    listener: RpcListener,
  ): Promise<{ socket: Socket; closed: Promise<void>; received: Buffer[] }> {
    return new Promise((resolve) => {
      const received: Buffer[] = [];
      const socket = connect({ host: '127.0.0.1', port: listener.port() });
      const closed = new Promise<void>((done) => socket.on('close', () => done()));
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => received.push(chunk));
      socket.on('connect', () => resolve({ socket, closed, received }));
    });
  }

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a wrong version', Buffer.from([0x50, 0x43, 0x4e, 0x09, 1])],
    ['an unknown kind', Buffer.concat([PREFACE, Buffer.from([77])])],
    ['noise behind the preface', Buffer.concat([PREFACE, Buffer.from([1]), Buffer.alloc(64, 0xff)])],
    ['an unexpected frame', Buffer.concat([PREFACE, Buffer.from([1]), frameHeader(FRAME_TYPE.value, 1, 0)])],
  ])('closes on %s without a word', async (_name, bytes) => {
    const { socket, closed, received } = await rawConnection(await listen(echo));
    socket.write(bytes);
    await closed;
    expect(received).toEqual([]);
  });

  test('closes when the same id is used twice', async () => {
    const { socket, closed } = await rawConnection(await listen(never));
    const payload = packRequest(request('write', {}));
    const frame = Buffer.concat([frameHeader(FRAME_TYPE.request, 5, payload.length), payload]);
    socket.write(Buffer.concat([PREFACE, Buffer.from([1]), frame, frame]));
    await closed;
  });

  test('answers a malformed request with an error and goes on', async () => {
    const listener = await listen(echo);
    const { socket, received } = await rawConnection(listener);
    const payload = Buffer.from([0xc1]);
    socket.write(
      Buffer.concat([PREFACE, Buffer.from([1]), frameHeader(FRAME_TYPE.request, 9, payload.length), payload]),
    );
    while (received.length === 0) await new Promise(setImmediate);
    expect(received[0]?.readUInt8(4)).toBe(FRAME_TYPE.error);
    socket.destroy();
  });

  test('random bytes never harm it', async () => {
    const listener = await listen(echo);
    const random = new SeededRandom(11);
    for (let run = 0; run < 50; run++) {
      const { socket } = await rawConnection(listener);
      const opening = run % 2 === 0 ? Buffer.concat([PREFACE, Buffer.from([1])]) : Buffer.alloc(0);
      socket.end(Buffer.concat([opening, Buffer.from(random.bytes(300))]));
    }
    const reply = await newPool().call(addressOf(listener), request('write', { ok: true }));
    expect(reply).toEqual({ kind: 'write', result: { ok: true } });
  });

  test('gives up on a connection that says nothing', async () => {
    const { closed } = await rawConnection(await listen(echo, { handshakeTimeoutMs: 20 }));
    await closed;
  });

  test('refuses more connections than one client may have', async () => {
    const listener = await listen(echo, { maxConnectionsPerClient: 2 });
    await rawConnection(listener);
    await rawConnection(listener);
    const third = await rawConnection(listener);
    await third.closed;
  });

  test('hands Raft streams on with what came behind the preface', async () => {
    const received = new Promise<string>((resolve) => {
      void listen(echo, {
        onRaftStream: (socket) => {
          socket.on('data', (chunk) => resolve(chunk.toString()));
          socket.resume();
        },
      }).then(async (listener) => {
        const socket = await dial(addressOf(listener), 'raft', realEnv);
        socket.on('error', () => {});
        socket.write('hello');
      });
    });
    expect(await received).toBe('hello');
  });
});

test('dial says what is wrong with an address', async () => {
  await expect(dial('nonsense', 'rpc', realEnv)).rejects.toThrow('dial tcp: address nonsense: missing port');
});
