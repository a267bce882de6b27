import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../testing/fake-pool.ts';
import { inOrder, MAX_PIPELINED } from './in-order.ts';

let server: Server;
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

test('a request begins when the one before it on the connection is answered; too many are refused in their turn', async () => {
  const begun: { readonly url: string; readonly outgoing: ServerResponse }[] = [];
  server = createServer(inOrder(({ url = '' }, outgoing) => void begun.push({ url, outgoing })));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString();
  });
  const total = MAX_PIPELINED + 3;
  const request = (i: number) => `GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`;
  socket.write(Array.from({ length: total }, (_, i) => request(i)).join(''));
  const other = net.connect(port, '127.0.0.1', () => other.write(request(1000)));
  for (let i = 0; i <= MAX_PIPELINED; i++) {
    await eventually(() => begun.some(({ url }) => url === `/${i}`), `request ${i}`);
    expect(begun.some(({ url }) => url === `/${i + 1}`)).toBe(false);
    begun.find(({ url }) => url === `/${i}`)?.outgoing.end(`answer ${i}.`);
  }
  await eventually(() => received.split('HTTP/1.1 503').length === 3, 'the refusals');
  const answers = [...received.matchAll(/answer (\d+)\./g)].map(([, i]) => Number(i));
  expect(answers).toEqual(Array.from({ length: MAX_PIPELINED + 1 }, (_, i) => i));
  expect(received.indexOf('HTTP/1.1 503')).toBeGreaterThan(received.indexOf(`answer ${MAX_PIPELINED}.`));
  // Another connection had nothing to wait for.
  expect(begun.some(({ url }) => url === '/1000')).toBe(true);
  socket.destroy();
  other.destroy();
});
