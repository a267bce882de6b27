/** gRPC checks: the standard health service answers SERVING. */

import {
  type ClientHttp2Session,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import type { Clock } from '../../../shared/env.ts';
import { messageOf, splitHostPort } from './go-errors.ts';
import { decodeHealthResponse, encodeHealthRequest } from './health-message.ts';
import type { TlsSettings } from './http-check.ts';
import { openSession } from './http2-session.ts';
import { startTimeLimit } from './time-limit.ts';
import { type CheckProbe, type CheckResult, critical, passing } from './types.ts';

export interface GrpcCheckOptions {
  readonly clock: Clock;
  /** `host:port` or `host:port/service`. */
  readonly target: string;
  readonly tls: TlsSettings | undefined;
  readonly timeoutMs: number;
}

/** More than a health response ever needs; the rest is dropped. */
const MAX_RESPONSE_BYTES = 64 * 1024;

const CODE_NAMES: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

interface Reply {
  readonly httpStatus: number;
  /** gRPC status; undefined when the peer sent none. */
  readonly code: number | undefined;
  readonly message: string;
  readonly body: Uint8Array;
}

export function grpcCheck(options: GrpcCheckOptions): CheckProbe {
  const slash = options.target.indexOf('/');
  const address = slash < 0 ? options.target : options.target.slice(0, slash);
  const service = slash < 0 ? '' : options.target.slice(slash + 1);
  const target = splitHostPort(address);
  if ('problem' in target) return () => Promise.resolve(critical(unavailable(`dial tcp: ${target.problem}`)));
  return async (signal) => {
    const limit = startTimeLimit(options.clock, options.timeoutMs, signal);
    let session: ClientHttp2Session | undefined;
    try {
      session = await openSession({ ...target, tls: options.tls }, limit.signal);
      const reply = await call(session, service, limit.signal);
      return judge(reply, options.target);
    } catch (error) {
      if (limit.isOver())
        return critical('rpc error: code = DeadlineExceeded desc = context deadline exceeded');
      return critical(unavailable(messageOf(error)));
    } finally {
      session?.destroy();
      limit.release();
    }
  };
}

function judge(reply: Reply, shownTarget: string): CheckResult {
  if (reply.code === undefined)
    return critical(`rpc error: code = Unknown desc = unexpected HTTP status ${reply.httpStatus}`);
  if (reply.code !== 0) {
    const name = CODE_NAMES[reply.code] ?? `Code(${reply.code})`;
    return critical(`rpc error: code = ${name} desc = ${reply.message}`);
  }
  return decodeHealthResponse(reply.body) === 'SERVING'
    ? passing(`gRPC check ${shownTarget}: success`)
    : critical("gRPC application didn't report service healthy");
}

function call(session: ClientHttp2Session, service: string, signal: AbortSignal): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      {
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
        'user-agent': 'Consul Health Check',
        te: 'trailers',
      },
      { signal },
    );
    let headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    let trailers: IncomingHttpHeaders = {};
    const chunks: Uint8Array[] = [];
    let total = 0;
    stream.on('response', (received) => {
      headers = received;
    });
    stream.on('trailers', (received) => {
      trailers = received;
    });
    stream.on('data', (chunk: Uint8Array) => {
      total += chunk.length;
      if (total <= MAX_RESPONSE_BYTES) chunks.push(chunk);
    });
    stream.on('error', reject);
    stream.once('end', () => {
      const status = trailers['grpc-status'] ?? headers['grpc-status'];
      const message = trailers['grpc-message'] ?? headers['grpc-message'];
      resolve({
        httpStatus: headers[':status'] ?? 0,
        code: typeof status === 'string' && /^\d+$/.test(status) ? Number(status) : undefined,
        message: typeof message === 'string' ? percentDecoded(message) : '',
        body: Buffer.concat(chunks),
      });
    });
    stream.once('close', () => reject(new Error('EOF')));
    stream.end(encodeHealthRequest(service));
  });
}

function unavailable(cause: string): string {
  const desc = cause.startsWith('dial ') ? `transport: Error while dialing ${cause}` : cause;
  return `rpc error: code = Unavailable desc = connection error: desc = ${JSON.stringify(desc)}`;
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not escaped properly: shown as it came.
    return text;
  }
}
