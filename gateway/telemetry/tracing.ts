/** Spans through `@opentelemetry/api`, one for each request and one for each attempt upstream: without a registered SDK these calls do nothing. */

import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { maskedPath } from '../access/masked-target.ts';
import { type HeaderList, headerOf, withoutHeaders } from '../exchange/exchange.ts';
import { type Transport, UpstreamError } from '../upstream/transport.ts';

/** Runs a request inside a server span, a child of the one that the client's headers name. */
export type Traced = <T extends { readonly status: number }>(
  method: string,
  target: string,
  headers: HeaderList,
  run: () => Promise<T>,
) => Promise<T>;

const PROPAGATED: ReadonlySet<string> = new Set(['traceparent', 'tracestate']);

/** Leaves requests alone; the client's own trace headers travel on like any other. */
export const untraced: Traced = (_method, _target, _headers, run) => run();

export function createTracing(): Traced {
  const tracer = trace.getTracer('proconsul-gateway');
  return (method, target, headers, run) => {
    const path = pathOf(target);
    const parent = propagation.extract(context.active(), headers, {
      get: (carrier, key) => headerOf(carrier, key.toLowerCase()),
      keys: (carrier) => carrier.filter((_, i) => i % 2 === 0),
    });
    const attributes = { 'http.request.method': method, 'url.path': path };
    const options = { kind: SpanKind.SERVER, attributes };
    const name = `${method} ${routeOf(path)}`;
    return tracer.startActiveSpan(name, options, parent, (span) => recorded(span, run));
  };
}

/** The same transport with a client span for each attempt; the agent's own spans become its children. */
export function tracedTransport(transport: Transport): Transport {
  const tracer = trace.getTracer('proconsul-gateway');
  return {
    ...transport,
    send: (baseUrl, request) => {
      const { hostname, port } = new URL(baseUrl);
      const path = pathOf(request.target);
      const attributes = {
        'http.request.method': request.method,
        'url.path': path,
        'server.address': hostname,
        'server.port': Number(port),
      };
      const options = { kind: SpanKind.CLIENT, attributes };
      return tracer.startActiveSpan(`upstream ${request.method} ${routeOf(path)}`, options, (span) =>
        recorded(span, () => transport.send(baseUrl, { ...request, headers: injected(request.headers) })),
      );
    },
  };
}

async function recorded<T extends { readonly status: number }>(
  span: Span,
  run: () => Promise<T>,
): Promise<T> {
  try {
    const answer = await run();
    span.setAttribute('http.response.status_code', answer.status);
    if (answer.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    return answer;
  } catch (error) {
    if (error instanceof UpstreamError) span.setAttribute('error.type', error.kind);
    span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
    throw error;
  } finally {
    span.end();
  }
}

/** The query may hold a token, so only the path is told, and not where it is one. */
function pathOf(target: string): string {
  return maskedPath(target.split('?', 1)[0] ?? '/');
}

/** The first parts of a path: names and keys would make every span name its own. */
function routeOf(path: string): string {
  return path.split('/').slice(0, 4).join('/');
}

function injected(headers: HeaderList): HeaderList {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  const added = Object.entries(carrier).flat();
  return added.length === 0 ? headers : [...withoutHeaders(headers, PROPAGATED), ...added];
}
