/** `/openapi.json` of the gateway: the agents' operations and its own pages. */

import { openApiDocument } from '../../shared/api/openapi.ts';
import { get, type Operation, post } from '../../shared/api/operation.ts';
import { OPERATIONS } from '../../shared/api/operations.ts';
import { anyObject, list, part, textMap, texts } from '../../shared/api/schema.ts';
import { renderJson } from '../../shared/json.ts';

const WORDS = { bytes: 'text/plain' };
const DNS_MESSAGE = { bytes: 'application/dns-message' };

const TARGETS = list(part({ targets: texts, labels: textMap }));

export const GATEWAY_OPERATIONS: readonly Operation[] = [
  { ...get('gatewayHealth', '/health', 'The gateway runs.'), answer: WORDS },
  {
    ...get('gatewayReady', '/ready', 'The gateway knows a leader and is not stopping.'),
    answer: WORDS,
    otherwise: { 503: 'Not yet, or no longer.' },
  },
  { ...get('gatewayMetrics', '/metrics', 'Counters of the gateway, for Prometheus.'), answer: WORDS },
  {
    ...get('dnsQueryGet', '/dns-query', 'DNS over HTTPS (RFC 8484).'),
    query: ['dns'],
    answer: DNS_MESSAGE,
  },
  {
    ...post('dnsQueryPost', '/dns-query', 'DNS over HTTPS (RFC 8484).'),
    body: DNS_MESSAGE,
    answer: DNS_MESSAGE,
  },
  {
    ...get('watch', '/v1/watch', 'Changes as server-sent events: `snapshot`, `put`, `delete`, `refused`.'),
    query: [
      'watch-service',
      'watch-health',
      'watch-kv',
      'watch-services',
      'passing',
      'tag',
      'node-meta',
      'filter',
      'dc',
      'stale',
      'watch-index',
    ],
    answer: { bytes: 'text/event-stream' },
    otherwise: { 503: 'Too much is being watched.' },
  },
  get('prometheusTargets', '/v1/prometheus/sd', 'Targets for `http_sd_configs`.', TARGETS, {
    query: ['sd-service', 'passing', 'tag', 'node-meta', 'filter', 'dc'],
  }),
  get('dnsResolve', '/resolve', 'DNS over HTTPS in JSON.', anyObject, { query: ['name', 'type'] }),
];

let rendered: string | undefined;

/** JSON text; made when first asked for. */
export function openApiText(): string {
  rendered ??= renderJson(openApiDocument([...OPERATIONS, ...GATEWAY_OPERATIONS]), false);
  return rendered;
}
