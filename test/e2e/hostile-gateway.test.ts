/** Hostile clients of a gateway: smuggled requests, odd paths, too much of everything, too slow for anything. */

import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';

const MAX_IN_FLIGHT = 200;

let agent: DevAgent;
let gateway: TestGateway;

beforeAll(async () => {
  agent = await startDevAgent();
  gateway = await startTestGateway(agent.url, {
    GATEWAY_MAX_HEADER: '16384',
    GATEWAY_REQUEST_TIMEOUT: '500ms',
    GATEWAY_MAX_IN_FLIGHT: String(MAX_IN_FLIGHT),
    GATEWAY_ANSWER_LIMIT: '65536',
  });
});
afterAll(async () => {
  await gateway?.process.stop('SIGKILL', 1000);
  await agent?.process.stop('SIGKILL', 1000);
});

/** What comes back for these bytes until the other side closes, or has said nothing for a moment. */
function raw(bytes: string | Uint8Array, quietMs = 300): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = net.connect(gateway.port, '127.0.0.1', () => socket.write(bytes));
    const done = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString('latin1'));
    };
    socket.setTimeout(quietMs, done);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', done).on('close', done);
  });
}

const statuses = (text: string) =>
  [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
const keys = async (prefix: string) =>
  (await fetch(`${agent.url}/v1/kv/${prefix}?keys`)).json().catch(() => []) as Promise<string[]>;

const HOST = 'Host: g\r\n';
/** A request inside another: it must be read as a body or not at all. */
const INNER = `PUT /v1/kv/smuggled/inner HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`;
const CHUNKED = `0\r\n\r\n${INNER}`;
const put = (headers: string, body: string) =>
  `PUT /v1/kv/outer HTTP/1.1\r\n${HOST}${headers}\r\n\r\n${body}`;

describe('smuggling', () => {
  test.each([
    ['length and chunks', put(`Content-Length: ${CHUNKED.length}\r\nTransfer-Encoding: chunked`, CHUNKED)],
    [
      'chunks and length',
      put('Transfer-Encoding: chunked\r\nContent-Length: 4', `5c\r\n${INNER}\r\n0\r\n\r\n`),
    ],
    ['two lengths', put(`Content-Length: 0\r\nContent-Length: ${INNER.length}`, INNER)],
    ['the same length twice', put('Content-Length: 1\r\nContent-Length: 1', 'x')],
    ['a list of lengths', put('Content-Length: 0, 1', INNER)],
    ['a signed length', put('Content-Length: +0', INNER)],
    ['a negative length', put('Content-Length: -1', INNER)],
    ['a hexadecimal length', put('Content-Length: 0x5', INNER)],
    ['a length beyond numbers', put('Content-Length: 99999999999999999999', INNER)],
    ['another coding', put('Transfer-Encoding: xchunked', CHUNKED)],
    ['chunked not last', put('Transfer-Encoding: chunked, identity', CHUNKED)],
    ['a blank before the colon', put('Transfer-Encoding : chunked', CHUNKED)],
    ['a vertical tab in the name', put('Transfer-Encoding\x0b: chunked', CHUNKED)],
    ['a null in a value', put('X-A: a\0b', '')],
    ['a bare carriage return', put('X-A: a\rX-B: b', '')],
    ['a bare line feed in a head', `GET /v1/kv/outer HTTP/1.1\n${HOST.replace('\r', '')}\n`],
    ['a negative chunk', put('Transfer-Encoding: chunked', '-1\r\nx\r\n0\r\n\r\n')],
    ['an endless chunk size', put('Transfer-Encoding: chunked', `${'f'.repeat(40)}\r\nx\r\n0\r\n\r\n`)],
    ['a line feed in a chunk extension', put('Transfer-Encoding: chunked', `1;a\nb\r\nx\r\n${CHUNKED}`)],
    ['no name', put(': x', '')],
    ['no host', 'GET /v1/kv/outer HTTP/1.1\r\n\r\n'],
    ['another version', `GET /v1/kv/outer HTTP/9.9\r\n${HOST}\r\n`],
    ['no method that there is', `SMUGGLE /v1/kv/outer HTTP/1.1\r\n${HOST}\r\n`],
  ])('%s is refused, and what follows is not read', async (_, bytes) => {
    const answer = await raw(bytes);
    expect(statuses(answer)).toEqual([400]);
    expect(await keys('smuggled')).toEqual([]);
  });

  test('a folded header is one value, or refused', async () => {
    const answer = await raw(
      put(`X-A: a\r\n Transfer-Encoding: chunked\r\nContent-Length: ${INNER.length}`, INNER),
    );
    expect([[200], [400]]).toContainEqual(statuses(answer));
    expect(await keys('smuggled')).toEqual([]);
  });

  test('well-framed requests behind each other are each answered, in order', async () => {
    const first = put('Content-Length: 5', 'first');
    const second = put('Transfer-Encoding: chunked', '6;x=y\r\nsecond\r\n0\r\nTrailer: x\r\n\r\n');
    const read = `GET /v1/kv/outer?raw HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
    const answer = await raw(first + second + read, 2000);
    expect(statuses(answer)).toEqual([200, 200, 200]);
    expect(answer.endsWith('second')).toBe(true);
  });

  /** A wait and a hundred reads behind it on one connection. */
  async function manyBehindAWait(fields: string): Promise<number[]> {
    const index = (await fetch(`${agent.url}/v1/kv/outer`)).headers.get('x-consul-index');
    const wait = `GET /v1/kv/outer?index=${index}&wait=300ms HTTP/1.1\r\n${HOST}${fields}\r\n`;
    const read = `GET /v1/status/leader HTTP/1.1\r\n${HOST}${fields}\r\n`;
    return statuses(await raw(wait + read.repeat(100), 2000));
  }

  test('plain requests behind a wait are answered after it', async () => {
    expect(await manyBehindAWait('')).toEqual(Array.from({ length: 101 }, () => 200));
  });

  test('more odd requests behind a wait than a connection may hold are 503, in their turn', async () => {
    const answered = await manyBehindAWait('TE: trailers\r\n');
    expect(answered).toHaveLength(101);
    expect(answered.filter((status) => status === 503)).toHaveLength(36);
    expect(answered.slice(0, 65)).toEqual(Array.from({ length: 65 }, () => 200));
  });

  test('what an agent answers can’t be confused with another’s answer either', async () => {
    const value = `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad`;
    await fetch(`${gateway.url}/v1/kv/split`, { method: 'PUT', body: value });
    expect(await (await fetch(`${gateway.url}/v1/kv/split?raw`)).text()).toBe(value);
  });
});

describe('too much', () => {
  test.each([
    ['a header', `GET / HTTP/1.1\r\n${HOST}X-A: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['many headers', `GET / HTTP/1.1\r\n${HOST}${'X-A: b\r\n'.repeat(4000)}\r\n`],
    ['a target', `GET /v1/kv/${'a'.repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`],
  ])('%s is 431', async (_, bytes) => {
    expect(statuses(await raw(bytes))).toEqual([431]);
  });

  test('watches beyond the limit are 503, and the rest goes on', async () => {
    const stop = new AbortController();
    const refused = { count: 0 };
    const watches = Array.from({ length: 4 * MAX_IN_FLIGHT }, async (_, i) => {
      try {
        const url = `${gateway.url}/v1/kv/watched-${i}?index=100000&wait=5m`;
        const response = await fetch(url, { signal: stop.signal });
        expect([response.status, await response.text()]).toEqual([
          503,
          expect.stringContaining('Raise GATEWAY_MAX_'),
        ]);
        refused.count++;
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      }
    });
    await eventually('refusals', async () => (refused.count >= 3 * MAX_IN_FLIGHT ? true : undefined));
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
    stop.abort();
    await Promise.all(watches);
    await eventually('room', async () =>
      (await fetch(`${gateway.url}/v1/status/leader`)).status === 200 ? true : undefined,
    );
  });
});

describe('too slow', () => {
  test('a head that never ends, and a body that never ends, are 408', async () => {
    expect(statuses(await raw(`GET / HTTP/1.1\r\n${HOST}X-A: `, 5000))).toEqual([408]);
    expect(statuses(await raw(put('Content-Length: 100', 'x'), 5000))).toEqual([408]);
  });

  test('readers that take nothing cost the gateway a bounded part of each answer', async () => {
    await fetch(`${agent.url}/v1/kv/large`, { method: 'PUT', body: 'x'.repeat(500_000) });
    const ops = Array.from({ length: 30 }, (_, i) => ({
      KV: { Verb: 'set', Key: `big/${i}`, Value: btoa('x'.repeat(10_000)) },
    }));
    await fetch(`${agent.url}/v1/txn`, { method: 'PUT', body: JSON.stringify(ops) });
    const rss = async () => {
      const status = await import('node:fs').then(({ readFileSync }) =>
        readFileSync(`/proc/${gateway.process.pid}/status`, 'utf8'),
      );
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
    };
    const before = await rss();
    const request = `GET /v1/kv/large HTTP/1.1\r\n${HOST}\r\n`;
    const sockets = Array.from({ length: 100 }, () => {
      const socket = net.connect({ port: gateway.port, host: '127.0.0.1' }, () =>
        socket.write(request.repeat(20)),
      );
      socket.on('error', () => undefined);
      return socket.pause();
    });
    await eventually('still answering', async () =>
      (await fetch(`${gateway.url}/v1/kv/outer?raw`)).status === 200 ? true : undefined,
    );
    // Two thousand answers of 670 KB were asked for: more than a gigabyte, if they were all kept.
    expect((await rss()) - before).toBeLessThan(600);
    for (const socket of sockets) socket.destroy();
  });
});

describe('paths', () => {
  const LEAVING = [
    '/v1/agent/leave',
    '/v1/agent%2Fleave',
    '/v1/%61gent/leave',
    '/v1/agent/./leave',
    '/v1/agent//leave',
    '/v1//agent/leave',
    '//v1/agent/leave',
    '/v1/kv/../agent/leave',
    '/v1/kv/%2e%2e/agent/leave',
    '/v1/kv/%2E%2E%2Fagent%2Fleave',
    '/v1/kv/..%2fagent/leave',
    '/x/../v1/agent/leave',
    '/v1/agent/leave/',
    '/v1/agent/leave;x',
    '/v1/agent/leave%00',
    '/v1/agent/leave%20',
    'http://elsewhere/v1/agent/leave',
    '\\v1\\agent\\leave',
  ];

  test.each(LEAVING)('PUT %s makes no agent leave', async (path) => {
    const [status] = statuses(await raw(`PUT ${path} HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`, 500));
    expect(status).not.toBe(200);
    expect(agent.process.isRunning()).toBe(true);
    expect((await fetch(`${agent.url}/v1/agent/members`)).status).toBe(200);
  });

  test.each(['/health/', '/metrics%00', '//metrics', '/%6detrics/../health', '/dns-query/../metrics'])(
    'GET %s is no page of the gateway’s own',
    async (path) => {
      const answer = await raw(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`, 500);
      expect(answer).not.toContain('proconsul_gateway_requests_total');
    },
  );

  test('a key is what the agent says it is, whatever its escapes', async () => {
    await fetch(`${gateway.url}/v1/kv/paths%2Fa%2eb`, { method: 'PUT', body: 'v' });
    expect(await keys('paths')).toEqual(['paths/a.b']);
    expect(await (await fetch(`${gateway.url}/v1/kv/paths/a.b?raw&stale`)).text()).toBe('v');
  });
});

describe('DNS over HTTPS', () => {
  const post = (body: Uint8Array, type = 'application/dns-message') =>
    fetch(`${gateway.url}/dns-query`, {
      method: 'POST',
      body: body as BodyInit,
      headers: { 'Content-Type': type },
    });

  test('garbage is refused in HTTP or in DNS, never a failure', async () => {
    const random = new SeededRandom(8);
    const valid = Buffer.from(
      '0001010000010000000000000377656207736572766963650663 6f6e73756c0000210001'.replace(' ', ''),
      'hex',
    );
    for (let i = 0; i < 150; i++) {
      const mutated = Buffer.from(valid);
      for (let flips = 0; flips <= i % 4; flips++)
        mutated[Math.floor(random.next() * mutated.length)] = Math.floor(random.next() * 256);
      const body = i % 2 === 0 ? mutated : random.bytes(Math.floor(random.next() * 300));
      const posted = await post(body);
      await posted.arrayBuffer();
      expect([200, 400]).toContain(posted.status);
      const got = await fetch(`${gateway.url}/dns-query?dns=${Buffer.from(body).toString('base64url')}`);
      await got.arrayBuffer();
      expect([200, 400]).toContain(got.status);
    }
  });

  test.each([
    ['another type', () => post(new Uint8Array(12), 'text/plain'), 415],
    ['too long', () => post(new Uint8Array(70_000)), 413],
    ['nothing', () => post(new Uint8Array(0)), 400],
    ['no base64url', () => fetch(`${gateway.url}/dns-query?dns=%00!!`), 400],
    ['no question', () => fetch(`${gateway.url}/dns-query`), 400],
    ['a long name', () => fetch(`${gateway.url}/resolve?name=${'a'.repeat(3000)}`), 400],
    ['no type that there is', () => fetch(`${gateway.url}/resolve?name=a.consul&type=NO-SUCH`), 400],
    ['another method', () => fetch(`${gateway.url}/dns-query`, { method: 'PUT', body: 'x' }), 405],
  ])('%s', async (_, ask, status) => {
    const response = await ask();
    await response.arrayBuffer();
    expect(response.status).toBe(status);
  });
});

test('after all that the gateway is the one that was started', async () => {
  expect(gateway.process.isRunning()).toBe(true);
  expect(gateway.process.output()).not.toMatch(/request failed|ERR\]|Error:/);
});
