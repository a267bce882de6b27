/** One span per request through `@opentelemetry/api`: without a registered SDK these calls do nothing. */

import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { type Answer, type HeaderList, headerOf, withoutHeaders } from '../exchange/exchange.ts';

/** Runs a request inside a span; the headers it gets carry the span's context to the agent. */
export type Traced = (
  method: string,
  target: string,
  headers: HeaderList,
  run: (headers: HeaderList) => Promise<Answer>,
) => Promise<Answer>;

const PROPAGATED: ReadonlySet<string> = new Set(['traceparent', 'tracestate']);

/** Leaves requests alone; the client's own trace headers travel on like any other. */
export const untraced: Traced = (_method, _target, headers, run) => run(headers);

export function createTracing(): Traced {
  const tracer = trace.getTracer('proconsul-gateway');
  return (method, target, headers, run) => {
    const path = target.split('?', 1)[0] ?? '/';
    const parent = propagation.extract(context.active(), headers, {
      get: (carrier, key) => headerOf(carrier, key.toLowerCase()),
      keys: (carrier) => carrier.filter((_, i) => i % 2 === 0),
    });
    // The query may hold a token, so only the path is told.
    const attributes = { 'http.request.method': method, 'url.path': path };
    const options = { kind: SpanKind.SERVER, attributes };
    return tracer.startActiveSpan(`${method} ${routeOf(path)}`, options, parent, async (span) => {
      try {
        const answer = await run(injected(headers));
        span.setAttribute('http.response.status_code', answer.status);
        if (answer.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        return answer;
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
        throw error;
      } finally {
        span.end();
      }
    });
  };
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
