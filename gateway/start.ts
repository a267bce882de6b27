/** Runs the gateway on Node: a listener for HTTP/1.1 and HTTP/2 over the app, undici towards the agents, Redis (or its mock) for shared state. */

import { getRequestListener } from '@hono/node-server';
import { Redis } from 'ioredis';
import { type Env, realEnv, sleep } from '../shared/env.ts';
import type { Logger } from '../shared/log.ts';
import { DEFAULT_METRIC_INTERVAL_MS, startMetricsExport } from '../shared/otlp-metrics.ts';
import { openAccessFile } from './access/access-file.ts';
import { maskedPath } from './access/masked-target.ts';
import { createGateway, FAILED, type Gateway } from './app.ts';
import { createRedisLink } from './cache/redis-link.ts';
import { createEmbeddedState, createRedisState } from './cache/redis-state.ts';
import { createMemoryState } from './cache/shared-state.ts';
import { textAnswer } from './exchange/exchange.ts';
import { openNodeExchange, shieldTarget } from './exchange/node-exchange.ts';
import type { GatewayOptions } from './layers.ts';
import { createRedisBuckets } from './limits/redis-buckets.ts';
import { type Listener, openListener } from './listener/listener.ts';
import { readTlsIdentity, type TlsIdentity } from './listener/tls-identity.ts';
import type { GatewaySettings } from './settings/settings.ts';
import { loadUiFiles } from './ui-assets.ts';
import { createMuxTransport } from './upstream/mux-transport.ts';
import type { Transport } from './upstream/transport.ts';
import { createUndiciTransport } from './upstream/undici-transport.ts';

export interface StartGatewayOptions {
  readonly settings: GatewaySettings;
  readonly logger: Logger;
  readonly env?: Env;
}

export interface RunningGateway {
  /** `http://HOST:PORT` as bound; `https://` with a certificate. */
  readonly url: string;
  /**
   * Answers waits at once and everything else with `Connection: close`, stops listening after a quarter of `drainMs`
   * (at most a second), lets requests in progress finish for up to `drainMs`, then closes everything. Idempotent.
   */
  stop(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2000;
const MEMORY_STATE_BYTES = 64 * 1024 * 1024;
const REDIS_TIMEOUT_MS = 500;
const DRAIN_CHECK_MS = 20;
const MIN_METRIC_INTERVAL_MS = 100;
/** How long a stopping gateway still accepts: balancers that ask once a second have heard by then. */
const MAX_LINGER_MS = 1000;

/** @throws the system's error when the address can't be bound, SettingsError when the certificate can't be used */
export async function startGateway({
  settings,
  logger,
  env = realEnv,
}: StartGatewayOptions): Promise<RunningGateway> {
  const tls = readTlsIdentity(settings);
  const accessFile =
    settings.accessLog === 'off' ? undefined : openAccessFile(settings.accessLogPath, env.clock, logger);
  const gateway = createGateway({
    settings,
    transport: openTransport(settings, env),
    ...(await openShared(settings, env, logger)),
    openExchange: openNodeExchange,
    accessLines: accessFile?.write,
    ui: settings.ui ? loadUiFiles(logger) : undefined,
    sharesWork: true,
    env,
    logger,
  });
  let listener: Listener;
  try {
    listener = await openServer(gateway, settings, tls, env, logger);
  } catch (error) {
    await gateway.stop();
    throw error;
  }
  gateway.start();
  const metricsExport = exportMetrics(gateway, settings, env, logger);
  const { url } = listener;
  logger.info('gateway is listening', { url, nodes: settings.nodes.join(',') });
  let stopping: Promise<void> | undefined;
  return {
    url,
    stop: () => {
      stopping ??= stopGracefully(gateway, listener, settings.drainMs, env, logger).then(async () => {
        await Promise.all([accessFile?.close(), metricsExport?.stop()]);
      });
      return stopping;
    },
  };
}

/** Off unless a collector is configured. */
function exportMetrics(gateway: Gateway, settings: GatewaySettings, env: Env, logger: Logger) {
  if (settings.telemetryEndpoint === '') return undefined;
  const interval = Number(process.env.OTEL_METRIC_EXPORT_INTERVAL);
  return startMetricsExport({
    endpoint: settings.telemetryEndpoint,
    headers: process.env.OTEL_EXPORTER_OTLP_HEADERS ?? '',
    serviceName: 'proconsul-gateway',
    instance: `${settings.listen.host}:${settings.listen.port}`,
    intervalMs: interval >= MIN_METRIC_INTERVAL_MS ? interval : DEFAULT_METRIC_INTERVAL_MS,
    collect: () => gateway.metrics(),
    clock: env.clock,
    onError: (reason) => logger.warn('metrics could not be sent to the collector', { reason }),
  });
}

function openTransport(settings: GatewaySettings, env: Env): Transport {
  const limits = { ...settings, connectTimeoutMs: CONNECT_TIMEOUT_MS };
  const fallback = createUndiciTransport(limits);
  return settings.mux ? createMuxTransport({ ...limits, fallback, clock: env.clock }) : fallback;
}

function openServer(
  gateway: Gateway,
  settings: GatewaySettings,
  tls: TlsIdentity | undefined,
  env: Env,
  logger: Logger,
) {
  const answer = getRequestListener(gateway.app.fetch, {
    hostname: 'localhost',
    overrideGlobalObjects: false,
  });
  return openListener({
    ...settings.listen,
    tls,
    maxHeaderBytes: settings.maxHeaderBytes,
    clock: env.clock,
    onExchange: (exchange) =>
      gateway.serve(exchange).catch((error: unknown) => {
        logger.error('request failed', {
          error: String(error),
          path: maskedPath(exchange.target.split('?', 1)[0] ?? ''),
        });
        return exchange.respond(textAnswer(500, FAILED));
      }),
    requestTimeoutMs: settings.requestTimeoutMs,
    onRequest: (incoming, outgoing) => {
      shieldTarget(incoming);
      if (gateway.isDraining() && 'shouldKeepAlive' in outgoing) outgoing.shouldKeepAlive = false;
      void answer(incoming, outgoing);
    },
  });
}

async function stopGracefully(
  gateway: Gateway,
  listener: Listener,
  drainMs: number,
  env: Env,
  logger: Logger,
): Promise<void> {
  gateway.drain();
  const deadlineMs = env.clock.monotonicMs() + drainMs;
  // Whoever has a connection, or is just opening one, is served once more and told to go elsewhere.
  await sleep(env.clock, Math.min(MAX_LINGER_MS, drainMs / 4));
  const closed = listener.close();
  while (gateway.inFlight() > 0 && env.clock.monotonicMs() < deadlineMs)
    await sleep(env.clock, DRAIN_CHECK_MS);
  if (gateway.inFlight() > 0) logger.warn('requests cut off by the stop', { count: gateway.inFlight() });
  listener.destroyConnections();
  await closed;
  await gateway.stop();
  logger.info('gateway stopped');
}

type Shared = Pick<GatewayOptions, 'sharedState' | 'sharedBuckets' | 'redis'>;

/**
 * ioredis-mock speaks the same commands in this process: what is kept goes one way, with or without a Redis. Rate
 * limits that nobody shares need neither.
 */
async function openShared(settings: GatewaySettings, env: Env, logger: Logger): Promise<Shared> {
  const nowMs = () => env.clock.monotonicMs();
  const redisLogger = logger.named('redis');
  if (settings.redisUrl === '') {
    const { default: RedisMock } = await import('ioredis-mock');
    const embedded = createRedisLink(new RedisMock(), redisLogger);
    return { sharedState: createEmbeddedState(embedded, MEMORY_STATE_BYTES, nowMs) };
  }
  const client = new Redis(settings.redisUrl, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: REDIS_TIMEOUT_MS,
  });
  const redis = createRedisLink(client, redisLogger);
  const local = createMemoryState(MEMORY_STATE_BYTES, nowMs);
  return { sharedState: createRedisState(redis, local), sharedBuckets: createRedisBuckets(redis), redis };
}
