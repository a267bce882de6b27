/** Sends spans to an OpenTelemetry collector. Loads the SDK when it is called, which is only when `OTEL_EXPORTER_OTLP_ENDPOINT` is set. */

import { context, propagation, trace } from '@opentelemetry/api';
import { realEnv, sleep } from './env.ts';

/** A collector that doesn't answer must not hold up the end of the process for longer. */
const FLUSH_LIMIT_MS = 3000;
/** How long finished spans are collected, by default, before they are sent: the specification's value. */
const DEFAULT_DELAY_MS = 5000;

type Sdk = typeof import('@opentelemetry/sdk-trace');

/**
 * Registers the process-wide tracer. Endpoint and headers come from the standard `OTEL_EXPORTER_OTLP_*` variables, which
 * the exporter reads; `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` are read here.
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
  const batching = {
    exporter: new exporter.OTLPTraceExporter(),
    scheduledDelayMillis: numberOr(process.env.OTEL_BSP_SCHEDULE_DELAY, DEFAULT_DELAY_MS),
  };
  const provider = new sdk.TracerProvider({
    resource: resources.resourceFromAttributes(attributes),
    sampler: samplerOf(sdk, process.env.OTEL_TRACES_SAMPLER, process.env.OTEL_TRACES_SAMPLER_ARG),
    spanProcessors: [new sdk.BatchSpanProcessor(batching)],
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

/** The samplers of the specification by their names; its default, `parentbased_always_on`, for any other. */
function samplerOf(sdk: Sdk, name: string | undefined, argument: string | undefined) {
  const ratio = new sdk.TraceIdRatioBasedSampler(numberOr(argument, 1));
  switch (name) {
    case 'always_on':
      return new sdk.AlwaysOnSampler();
    case 'always_off':
      return new sdk.AlwaysOffSampler();
    case 'traceidratio':
      return ratio;
    case 'parentbased_always_off':
      return new sdk.ParentBasedSampler({ root: new sdk.AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new sdk.ParentBasedSampler({ root: ratio });
    default:
      return new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() });
  }
}

function numberOr(text: string | undefined, fallback: number): number {
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : fallback;
}
