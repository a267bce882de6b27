/** Real servers in this process: real TCP on loopback, real Raft in memory, a fake LAN pool. For tests. */

import { createServer as createTcpServer } from 'node:net';
import { randomUuid, realEnv } from '../../../shared/env.ts';
import { createLogger, formatLogLine, type Logger } from '../../../shared/log.ts';
import { DEFAULT_AUTOPILOT } from '../../../shared/types/autopilot.ts';
import { type ClientBackend, createClientBackend } from '../../rpc/client-backend.ts';
import type { Server, ServerOptions } from '../options.ts';
import { createServer } from '../server.ts';
import { clientTags, FakeLan, fakeMember, serverTags } from './fake-gossip.ts';

export interface TestServer {
  readonly name: string;
  readonly id: string;
  readonly port: number;
  readonly server: Server;
}

const TIMING = { heartbeatMs: 30, electionMs: 150, leaseMs: 100 };

export class TestCluster {
  readonly lan = new FakeLan();
  readonly servers: TestServer[] = [];
  readonly #clients: ClientBackend[] = [];
  /** Everything that was logged, formatted without time. */
  readonly lines: string[] = [];

  /** Starts a server; it appears in the pool before it runs, as a gossiping agent does. */
  async addServer(name: string, options: Partial<ServerOptions> = {}): Promise<TestServer> {
    const port = await freePort();
    const id = randomUuid(realEnv.random);
    const server = createServer({
      nodeName: name,
      nodeId: id,
      datacenter: 'dc1',
      bindAddress: '127.0.0.1',
      rpcPort: port,
      advertiseAddress: '127.0.0.1',
      dataDir: undefined,
      bootstrap: false,
      bootstrapExpect: 0,
      raft: { timing: TIMING },
      lan: this.lan.pool(name),
      wan: undefined,
      env: realEnv,
      log: this.#log('agent.server'),
      autopilot: { ...DEFAULT_AUTOPILOT, ServerStabilizationTime: 0 },
      leaveDrainMs: 10,
      ...options,
    });
    const started = { name, id, port, server };
    this.servers.push(started);
    await server.start();
    const tags = serverTags(id, port, options.bootstrapExpect);
    this.lan.set(fakeMember(name, { ...tags, dc: options.datacenter ?? 'dc1' }));
    return started;
  }

  /** Three servers that expect each other. */
  async startThree(options: Partial<ServerOptions> = {}): Promise<void> {
    for (const name of ['n1', 'n2', 'n3']) await this.addServer(name, { bootstrapExpect: 3, ...options });
    await this.leader();
  }

  addClient(name: string, rpcHoldTimeoutMs = 7000): ClientBackend {
    const client = createClientBackend({
      datacenter: 'dc1',
      lan: this.lan.pool(name),
      env: realEnv,
      log: this.#log('agent.client'),
      rpcHoldTimeoutMs,
    });
    this.#clients.push(client);
    this.lan.set(fakeMember(name, clientTags(randomUuid(realEnv.random))));
    client.start();
    return client;
  }

  /** Ends a server without a word, as a crash does. */
  async kill(victim: TestServer): Promise<void> {
    this.servers.splice(this.servers.indexOf(victim), 1);
    await victim.server.stop();
    this.lan.setStatus(victim.name, 'failed');
  }

  async leader(): Promise<TestServer> {
    return eventually(() => this.servers.find(({ server }) => server.isLeader()));
  }

  async follower(): Promise<TestServer> {
    await this.leader();
    return eventually(() =>
      this.servers.find(({ server }) => !server.isLeader() && server.raft.status().leader !== undefined),
    );
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.stop();
    await Promise.all(this.servers.map(({ server }) => server.stop()));
  }

  #log(name: string): Logger {
    const sink = {
      wants: () => true,
      write: (record: Parameters<typeof formatLogLine>[0]) =>
        void this.lines.push(formatLogLine(record).slice(25)),
    };
    return createLogger(name, [sink], () => 0);
  }
}

/** Asks again until there is an answer; gives up after ten seconds. */
export async function eventually<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const endMs = realEnv.clock.monotonicMs() + 10_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (realEnv.clock.monotonicMs() > endMs) throw new Error('did not happen within 10 s');
    await new Promise<void>((resolve) => realEnv.clock.setTimer(5, resolve, true));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createTcpServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
