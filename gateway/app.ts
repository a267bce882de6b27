/** The gateway as a Hono app: its own pages, DNS over HTTPS, everything else to the agents. Web APIs only: it runs on Node and on Workers. */

import { type Context, Hono } from 'hono';
import type { MetricFamily } from '../shared/otlp-metrics.ts';
import { createAccessLog } from './access/access-log.ts';
import { maskedPath } from './access/masked-target.ts';
import { type Answer, type Exchange, isWhole, textAnswer } from './exchange/exchange.ts';
import { buildLayers, type GatewayOptions, type Layers } from './layers.ts';
import { addressOf } from './limits/caller.ts';
import { createRateLimits } from './limits/limits.ts';
import { type Gauge, metricFamilies, renderMetrics } from './operations/counters.ts';
import { openApiText } from './operations/openapi.ts';
import { answerHeaders } from './proxy/headers.ts';
import { serveUi } from './ui-pages.ts';

export interface Gateway {
  readonly app: Hono;
  /** Answers one request below `/v1/` through its exchange, as the app does. */
  serve(exchange: Exchange): Promise<Response>;
  /** Begins to follow the pool in the background. Without it the pool is looked up as requests come. */
  start(): void;
  /**
   * From now on `/ready` says no, so that balancers send new clients elsewhere, answers end their connections, and
   * blocking queries are answered at once.
   */
  drain(): void;
  isDraining(): boolean;
  stop(): Promise<void>;
  /** Requests in progress. */
  inFlight(): number;
  /** What `/metrics` tells, as data. */
  metrics(): readonly MetricFamily[];
}

const OVERLOADED =
  'The gateway has too many requests in progress. Raise GATEWAY_MAX_IN_FLIGHT (-max-in-flight) or add gateways.';

export const FAILED = 'The gateway failed on this request; its log says why.';
const STATUS_CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'];

export function createGateway(options: GatewayOptions): Gateway {
  const layers = buildLayers(options);
  const { settings, env } = options;
  const { pool, poller, counters } = layers;
  const limits = createRateLimits({
    perToken: settings.tokenLimit,
    perAddress: settings.addressLimit,
    trustedProxies: settings.trustedProxies,
    shared: options.sharedBuckets,
    clock: env.clock,
    onRefused: (by) => counters.limited.add(by),
  });
  let isDraining = false;
  const isReady = () => !isDraining && poller.hasLeader() && pool.usable(env.clock.monotonicMs()).length > 0;

  const accessLog =
    settings.accessLog === 'off' || options.accessLines === undefined
      ? undefined
      : createAccessLog(settings.accessLog, options.accessLines);
  const logged = (exchange: Exchange, startMs: number, status: number, bytes: number | undefined) => {
    const { clientAddress, headers, method, protocol, target } = exchange;
    const address = addressOf(clientAddress, headers, settings.trustedProxies);
    const tookMs = env.clock.monotonicMs() - startMs;
    const timeMs = env.clock.nowMs() - tookMs;
    accessLog?.({ timeMs, address, method, target, protocol, status, bytes, tookMs });
  };

  const finished = (exchange: Exchange, startMs: number, answer: Answer | Response) => {
    counters.requests.add(STATUS_CLASSES[Math.floor(answer.status / 100)] ?? 'other');
    if (accessLog !== undefined) logged(exchange, startMs, answer.status, bytesOf(answer));
    return answer instanceof Response ? answer : exchange.respond(answer);
  };
  /** Refuses what is too much, else answers; counted and logged either way. In progress until a stream has ended. */
  const counted = async (exchange: Exchange, work: () => Promise<Answer | Response>): Promise<Response> => {
    const startMs = accessLog === undefined ? 0 : env.clock.monotonicMs();
    const refusal = limits === undefined ? undefined : await limits.check(exchange);
    if (refusal !== undefined) return finished(exchange, startMs, refusal);
    if (counters.inFlight >= settings.maxInFlight)
      return finished(exchange, startMs, textAnswer(503, OVERLOADED));
    counters.inFlight++;
    try {
      return await finished(exchange, startMs, await work());
    } finally {
      counters.inFlight--;
    }
  };
  /** Questions below `/v1/` that the gateway answers by itself. */
  const own = new Map([
    ['/v1/watch', layers.watchChanges],
    ['/v1/prometheus/sd', layers.discoverTargets],
  ]);
  const deliverable = (answer: Answer): Answer => {
    const headers = answerHeaders(answer.headers);
    return { ...answer, headers: isDraining ? [...headers, 'Connection', 'close'] : headers };
  };
  const serve = (exchange: Exchange): Promise<Response> =>
    counted(exchange, () => {
      const answerIt = own.get(exchange.target.split('?', 1)[0] ?? '') ?? layers.answer;
      return answerIt(exchange).then(deliverable);
    });
  const proxy = (c: Context) => serve(options.openExchange(c.req.raw, c.env));
  const doh = (c: Context): Promise<Response> => {
    const exchange = options.openExchange(c.req.raw, c.env);
    return counted(exchange, async () => {
      await layers.freshen();
      return layers.doh(c.req.raw, exchange.clientAddress);
    });
  };

  const metrics = () => {
    const known = gauges(layers, env.clock.monotonicMs());
    if (options.redis !== undefined) known.push(redisGauge(options.redis));
    return metricFamilies(counters, known);
  };

  const app = new Hono();
  app.get('/health', (c) => c.text('ok\n'));
  app.get('/ready', async (c) => {
    await layers.freshen();
    return isReady() ? c.text('ready\n') : c.text(isDraining ? 'draining\n' : 'no leader is known\n', 503);
  });
  app.get('/metrics', (c) => {
    const headers = { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' };
    return c.body(renderMetrics(metrics()), 200, headers);
  });
  app.get('/openapi.json', (c) => c.body(openApiText(), 200, { 'Content-Type': 'application/json' }));
  for (const path of own.keys()) app.all(path, proxy);
  app.all('/dns-query', doh);
  app.all('/resolve', doh);
  if (options.ui !== undefined) serveUi(app, options.ui);
  app.all('*', proxy);
  app.onError((error, c) => {
    options.logger.error('request failed', { error: error.message, path: maskedPath(c.req.path) });
    return c.text(FAILED, 500);
  });
  return {
    app,
    serve,
    start: () => poller.start(),
    drain: () => {
      isDraining = true;
      layers.changes.stop();
      layers.endWaits();
    },
    isDraining: () => isDraining,
    stop: async () => {
      poller.stop();
      layers.views.stop();
      layers.changes.stop();
      await Promise.all([options.transport.close(), options.sharedState.close()]);
    },
    inFlight: () => counters.inFlight,
    metrics,
  };
}

/** undefined when it isn't known before the end. */
function bytesOf(answer: Answer | Response): number | undefined {
  if (!(answer instanceof Response)) return isWhole(answer) ? answer.body.length : undefined;
  const length = answer.headers.get('content-length');
  return length === null ? undefined : Number(length);
}

function redisGauge({ isDegraded }: { isDegraded(): boolean }): Gauge {
  return {
    name: 'proconsul_gateway_redis',
    help: 'Whether Redis answers: 1 at the state that holds.',
    values: [
      ['up', isDegraded() ? 0 : 1],
      ['degraded', isDegraded() ? 1 : 0],
    ] as const,
  };
}

function gauges({ pool, views, changes }: Layers, nowMs: number): Gauge[] {
  const nodes = pool.nodes();
  const usable = pool.usable(nowMs).length;
  return [
    {
      name: 'proconsul_gateway_pool_nodes',
      help: 'Agents in the pool.',
      values: [
        ['usable', usable],
        ['unusable', nodes.length - usable],
        ['dead', pool.dead().length],
        ['leader', pool.leader(nowMs) === undefined ? 0 : 1],
      ] as const,
    },
    {
      name: 'proconsul_gateway_views',
      help: 'Reads kept fresh, and what is followed for streams of changes.',
      values: [
        ['views', views.size().count],
        ['topics', changes.size().feeds],
      ] as const,
    },
    {
      name: 'proconsul_gateway_view_bytes',
      help: 'Memory that these take.',
      values: [
        ['views', views.size().bytes],
        ['topics', changes.size().bytes],
      ] as const,
    },
    {
      name: 'proconsul_gateway_streams',
      help: 'Streams of changes to clients.',
      values: [['open', changes.size().streams]] as const,
    },
  ];
}
