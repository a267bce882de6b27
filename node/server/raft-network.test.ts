/** Where Raft dials a peer: where gossip shows it alive, else where the log says it is. */

import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import type { NodeId } from '../raft/types.ts';
import { createRaftNetwork } from './raft-network.ts';

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** A listener, and how many have connected to it. */
async function listener() {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.on('error', () => {});
    socket.resume();
    socket.end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const found = server.address();
  const port = typeof found === 'object' && found !== null ? found.port : 0;
  return { address: `127.0.0.1:${port}`, count: () => connections };
}

const peer = (address: string) => ({ id: 'b' as NodeId, address, isVoter: true });

async function dialled(live: string | undefined, configured: string): Promise<void> {
  const network = createRaftNetwork(realEnv, (id) => (id === 'b' ? live : undefined));
  const stream = await network.dial(peer(configured));
  // The listener ends the connection, so that it has counted it by then.
  const closed = new Promise<void>((resolve) => stream.onClose(() => resolve()));
  stream.onData(() => {});
  await closed;
}

test('gossip goes before the log', async () => {
  const [old, now] = [await listener(), await listener()];
  await dialled(now.address, old.address);
  expect([old.count(), now.count()]).toEqual([0, 1]);
});

test('the log serves when gossip does not know the peer, or is behind', async () => {
  const old = await listener();
  await dialled(undefined, old.address);
  await dialled('127.0.0.1:1', old.address);
  expect(old.count()).toBe(2);
});

test('when neither is right, the error is that of the address that the log gives', async () => {
  const network = createRaftNetwork(realEnv, () => '127.0.0.1:1');
  await expect(network.dial(peer('127.0.0.1:2'))).rejects.toThrow('dial tcp 127.0.0.1:2');
});
