/** SIGTERM under load: every request that was sent is answered, waits included, and every connection is told to end. */

import http from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';

const CONNECTIONS = 64;
const WAITS = 16;

let agent: DevAgent;
let gateway: TestGateway;

beforeAll(async () => {
  agent = await startDevAgent();
  gateway = await startTestGateway(agent.url);
});
afterAll(async () => {
  await gateway?.process.stop('SIGKILL', 1000);
  await agent?.process.stop('SIGKILL', 1000);
});

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: http.IncomingHttpHeaders;
}

function ask(connection: http.Agent, method: string, path: string, body = ''): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = { method, path, port: gateway.port, host: '127.0.0.1', agent: connection };
    const request = http.request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString(),
          headers: response.headers,
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

test('nothing is dropped', async () => {
  const errors: string[] = [];
  const answered = { count: 0, last: 0 };
  const client = async (i: number) => {
    const connection = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const key = `/v1/kv/stop-${i}`;
    try {
      for (let turn = 0; ; turn++) {
        const [method, path] = turn % 2 === 0 ? ['PUT', key] : ['GET', `${key}?raw`];
        const { status, text, headers } = await ask(
          connection,
          method,
          path,
          turn % 2 === 0 ? `${turn}` : '',
        );
        if (status !== 200) errors.push(`${status} ${text}`);
        if (turn % 2 === 1 && text !== `${turn - 1}`) errors.push(`read ${text} after ${turn - 1}`);
        answered.count++;
        if (headers.connection === 'close') {
          answered.last++;
          return;
        }
      }
    } catch (error) {
      errors.push(String(error));
    } finally {
      connection.destroy();
    }
  };
  const waiting = { count: 0 };
  const waiter = async () => {
    const connection = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const { headers } = await ask(connection, 'GET', '/v1/catalog/datacenters');
    expect(headers.connection).not.toBe('close');
    const before = await ask(connection, 'GET', '/v1/kv/waited-for');
    const index = String(before.headers['x-consul-index']);
    waiting.count++;
    const after = await ask(connection, 'GET', `/v1/kv/waited-for?index=${index}&wait=5m`);
    expect(after).toMatchObject({ status: 200, text: before.text });
    expect(after.headers).toMatchObject({ 'x-consul-index': index, connection: 'close' });
    connection.destroy();
  };
  await fetch(`${gateway.url}/v1/kv/waited-for`, { method: 'PUT', body: 'still' });
  const waiters = Array.from({ length: WAITS }, waiter);
  const clients = Array.from({ length: CONNECTIONS }, (_, i) => client(i));
  await eventually('load', async () => (answered.count > 1000 ? true : undefined));
  await eventually('waits', async () => (waiting.count === WAITS ? true : undefined));
  gateway.process.kill('SIGTERM');
  await Promise.all([...clients, ...waiters]);
  expect(errors).toEqual([]);
  expect(answered.last).toBe(CONNECTIONS);
  await gateway.process.exited;
  expect(gateway.process.output()).toContain('gateway stopped');
  expect(gateway.process.output()).not.toContain('cut off');
});
