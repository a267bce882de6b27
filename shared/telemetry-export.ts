/** Sends spans to an OpenTelemetry collector. Imported only when `OTEL_EXPORTER_OTLP_ENDPOINT` is set. */

import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

/**
 * Registers the process-wide tracer. Endpoint, headers and limits come from the standard `OTEL_*` variables.
 *
 * @param serviceName `proconsul` or `proconsul-gateway`
 * @param instance    node name or listen address
 * @returns a function that sends what is pending and shuts the exporter down
 */
export function registerTraceExport(serviceName: string, instance: string): () => Promise<void> {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.instance.id': instance }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}
