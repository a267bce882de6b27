/** Runs the gateway on Node: an HTTP server over the app, undici towards the agents, Redis (or its mock) for shared state. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { Redis } from 'ioredis';
import { type Env, realEnv, sleep } from '../shared/env.ts';
import type { Logger } from '../shared/log.ts';
import { createGateway, type Gateway } from './app.ts';
import { createRedisState } from './cache/redis-state.ts';
import { createMemoryState, type SharedState } from './cache/shared-state.ts';
import { openNodeExchange, shieldTarget } from './exchange/node-exchange.ts';
import type { GatewaySettings } from './settings/settings.ts';
import { createUndiciTransport } from './upstream/undici-transport.ts';

export interface StartGatewayOptions {
  readonly settings: GatewaySettings;
  readonly logger: Logger;
  readonly env?: Env;
}

export interface RunningGateway {
  /** `http://HOST:PORT` as bound. */
  readonly url: string;
  /** Stops listening, lets requests in progress finish for up to `drainMs`, then closes everything. Idempotent. */
  stop(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2000;
const MEMORY_STATE_BYTES = 64 * 1024 * 1024;
/** Longer than clients keep connections (Go: 90 s), so that the gateway isn't the one to close under a request. */
const KEEP_ALIVE_MS = 120_000;
const REDIS_TIMEOUT_MS = 500;
const DRAIN_CHECK_MS = 20;

/** @throws the system's error when the address can't be bound */
export async function startGateway({
  settings,
  logger,
  env = realEnv,
}: StartGatewayOptions): Promise<RunningGateway> {
  const gateway = createGateway({
    settings,
    transport: createUndiciTransport({ ...settings, connectTimeoutMs: CONNECT_TIMEOUT_MS }),
    sharedState: await openSharedState(settings, env, logger),
    openExchange: openNodeExchange,
    sharesWork: true,
    env,
    logger,
  });
  const server = openServer(gateway, settings);
  try {
    await listen(server, settings.listen.host, settings.listen.port);
  } catch (error) {
    await gateway.stop();
    throw error;
  }
  gateway.start();
  const url = urlOf(server);
  logger.info('gateway is listening', { url, nodes: settings.nodes.join(',') });
  let stopping: Promise<void> | undefined;
  return {
    url,
    stop: () => {
      stopping ??= stopGracefully(gateway, server, settings.drainMs, env, logger);
      return stopping;
    },
  };
}

function openServer(gateway: Gateway, settings: GatewaySettings): Server {
  const listener = getRequestListener(gateway.app.fetch, {
    hostname: 'localhost',
    overrideGlobalObjects: false,
  });
  const server = createServer(
    { maxHeaderSize: settings.maxHeaderBytes, keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true },
    (incoming, outgoing) => {
      shieldTarget(incoming);
      void listener(incoming, outgoing);
    },
  );
  return server;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function urlOf(server: Server): string {
  // A listening TCP server always has an AddressInfo.
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function stopGracefully(
  gateway: Gateway,
  server: Server,
  drainMs: number,
  env: Env,
  logger: Logger,
): Promise<void> {
  gateway.drain();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const deadlineMs = env.clock.monotonicMs() + drainMs;
  while (gateway.inFlight() > 0 && env.clock.monotonicMs() < deadlineMs)
    await sleep(env.clock, DRAIN_CHECK_MS);
  if (gateway.inFlight() > 0) logger.warn('requests cut off by the stop', { count: gateway.inFlight() });
  server.closeAllConnections();
  await closed;
  await gateway.stop();
  logger.info('gateway stopped');
}

/** ioredis-mock speaks the same commands in this process: the code path is one, with or without a Redis. */
async function openSharedState(settings: GatewaySettings, env: Env, logger: Logger): Promise<SharedState> {
  const local = createMemoryState(MEMORY_STATE_BYTES, () => env.clock.monotonicMs());
  const redisLogger = logger.named('redis');
  if (settings.redisUrl === '') {
    const { default: RedisMock } = await import('ioredis-mock');
    return createRedisState(new RedisMock(), local, redisLogger);
  }
  const client = new Redis(settings.redisUrl, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: REDIS_TIMEOUT_MS,
  });
  return createRedisState(client, local, redisLogger);
}
