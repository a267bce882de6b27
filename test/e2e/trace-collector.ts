/** A collector for OTLP over HTTP in its JSON form, as far as tests look at it: span names, services, parents. */

import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** '' for the first span of a trace. */
  readonly parentSpanId: string;
  /** As in OTLP: 1 internal, 2 server, 3 client. */
  readonly kind: number;
}

export interface TraceCollector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** Every body that came, as text. */
  readonly bodies: readonly string[];
  stop(): void;
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue?: string } }[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (CollectedSpan & { parentSpanId?: string })[];
    }[];
  }[];
}

export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  const bodies: string[] = [];
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const isMetrics = request.url === '/v1/metrics';
    if (
      (request.url !== '/v1/traces' && !isMetrics) ||
      request.headers['content-type'] !== 'application/json'
    ) {
      response.writeHead(400).end();
      return;
    }
    const body = Buffer.concat(chunks).toString();
    bodies.push(body);
    if (!isMetrics) spans.push(...spansOf(JSON.parse(body) as Export));
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    bodies,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function spansOf({ resourceSpans }: Export): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const named = resource.attributes.find(({ key }) => key === 'service.name');
    const service = named?.value.stringValue ?? '';
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, traceId, spanId, parentSpanId = '', kind }) => ({
        service,
        name,
        traceId,
        spanId,
        parentSpanId,
        kind,
      })),
    );
  });
}
