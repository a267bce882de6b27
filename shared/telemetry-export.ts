/** Sends spans to an OpenTelemetry collector. Loads the SDK when it is called, which is only when `OTEL_EXPORTER_OTLP_ENDPOINT` is set. */

import { context, propagation, trace } from '@opentelemetry/api';
import { realEnv, sleep } from './env.ts';

/** A collector that doesn't answer must not hold up the end of the process for longer. */
const FLUSH_LIMIT_MS = 3000;

/**
 * Registers the process-wide tracer. Endpoint, headers and limits come from the standard `OTEL_*` variables.
 *
 * @param serviceName `proconsul` or `proconsul-gateway`
 * @param instance    node name or listen address
 * @returns a function that sends what is pending and shuts the exporter down, within 3 s, and never rejects
 */
export async function registerTraceExport(
  serviceName: string,
  instance: string,
): Promise<() => Promise<void>> {
  // Bundlers hoist static imports of packages to the top of the bundle, where they would cost every start.
  const [hooks, core, exporter, resources, sdk] = await Promise.all([
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/core'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace'),
  ]);
  const attributes = { 'service.name': serviceName, 'service.instance.id': instance };
  const provider = new sdk.TracerProvider({
    resource: resources.resourceFromAttributes(attributes),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter: new exporter.OTLPTraceExporter() })],
  });
  context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new core.W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  return async () => {
    // Spans that can't be delivered at the end are lost; that is no reason to fail the stop.
    const flushed = provider.shutdown().catch(() => undefined);
    await Promise.race([flushed, sleep(realEnv.clock, FLUSH_LIMIT_MS)]);
  };
}
