/** Spans through the OpenTelemetry API: without a registered SDK they cost next to nothing and go nowhere. */

import {
  context,
  isSpanContextValid,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';

const tracer = trace.getTracer('proconsul');

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export type TraceKind = 'internal' | 'client' | 'server';

const KINDS: Readonly<Record<TraceKind, SpanKind>> = {
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  server: SpanKind.SERVER,
};

/**
 * Runs `work` inside a span that ends when its promise settles; a rejection marks the span as failed.
 *
 * @param parent a W3C `traceparent` from another agent; undefined: the span that is active here, if any
 */
export async function traced<T>(
  name: string,
  kind: TraceKind,
  attributes: SpanAttributes,
  work: () => Promise<T>,
  parent?: string,
): Promise<T> {
  const remote = parent === undefined ? undefined : parseTraceparent(parent);
  const outer = remote === undefined ? context.active() : trace.setSpanContext(context.active(), remote);
  const span = tracer.startSpan(name, { kind: KINDS[kind] }, outer);
  // A span that isn't sampled still stands for the decision not to: what happens below it must not start a trace.
  if (!span.isRecording())
    return isSpanContextValid(span.spanContext()) ? context.with(trace.setSpan(outer, span), work) : work();
  span.setAttributes(attributes);
  try {
    return await context.with(trace.setSpan(outer, span), work);
  } catch (error) {
    markFailed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** The active span as a W3C `traceparent` header, sampled or not; undefined when there is none. */
export function activeTraceparent(): string | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  const { traceId, spanId, traceFlags } = span;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function markFailed(span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** W3C Trace Context, version 00; anything malformed counts as absent. */
function parseTraceparent(text: string) {
  const parts = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text);
  const [, traceId, spanId, flags] = parts ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  return { traceId, spanId, traceFlags, isRemote: true };
}
