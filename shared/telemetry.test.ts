import { context, type Span, type SpanContext, type SpanStatus, trace } from '@opentelemetry/api';
import { afterAll, expect, test } from 'vitest';
import { activeTraceparent, traced } from './telemetry.ts';

afterAll(() => {
  trace.disable();
  context.disable();
});

test('without an SDK the work runs and nothing is carried', async () => {
  expect(activeTraceparent()).toBeUndefined();
  expect(await traced('x', 'internal', { a: 1 }, async () => activeTraceparent() ?? 'none')).toBe('none');
  await expect(traced('x', 'internal', {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('with a provider the span has its attributes, its parent, and ends with the outcome', async () => {
  const spans = useRecordingProvider();
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await traced('rpc.server', 'server', { 'rpc.method': 'KVS.Get' }, async () => 1, parent);
  await expect(
    traced('rpc.forward', 'client', {}, () => Promise.reject(new Error('EOF')), 'nonsense'),
  ).rejects.toThrow('EOF');
  expect(spans).toEqual([
    {
      name: 'rpc.server',
      parent: '0af7651916cd43dd8448eb211c80319c',
      attributes: { 'rpc.method': 'KVS.Get' },
      error: undefined,
      isEnded: true,
    },
    { name: 'rpc.forward', parent: undefined, attributes: {}, error: 'EOF', isEnded: true },
  ]);
});

interface Recorded {
  readonly name: string;
  readonly parent: string | undefined;
  attributes: object;
  error: string | undefined;
  isEnded: boolean;
}

/** The smallest provider that records: the SDK itself is no dependency of the product's core. */
function useRecordingProvider(): Recorded[] {
  const spans: Recorded[] = [];
  const spanContext: SpanContext = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 };
  trace.setGlobalTracerProvider({
    getTracer: () => ({
      startSpan(name, _options, outer) {
        const parent = outer === undefined ? undefined : trace.getSpanContext(outer)?.traceId;
        const recorded: Recorded = { name, parent, attributes: {}, error: undefined, isEnded: false };
        spans.push(recorded);
        const span: Partial<Span> = {
          isRecording: () => true,
          spanContext: () => spanContext,
          setAttributes(attributes) {
            recorded.attributes = { ...attributes };
            return span as Span;
          },
          setStatus(status: SpanStatus) {
            recorded.error = status.message;
            return span as Span;
          },
          end() {
            recorded.isEnded = true;
          },
        };
        return span as Span;
      },
      startActiveSpan: () => {
        throw new Error('not used');
      },
    }),
  });
  return spans;
}
