/** H2PING checks: an HTTP/2 PING is acknowledged. */

import type { ClientHttp2Session } from 'node:http2';
import type { Clock } from '../../../shared/env.ts';
import { messageOf, splitHostPort } from './go-errors.ts';
import type { TlsSettings } from './http-check.ts';
import { openSession } from './http2-session.ts';
import { startTimeLimit } from './time-limit.ts';
import { type CheckProbe, critical, passing } from './types.ts';

export interface H2PingCheckOptions {
  readonly clock: Clock;
  /** `host:port`. */
  readonly address: string;
  /** undefined: cleartext. */
  readonly tls: TlsSettings | undefined;
  readonly timeoutMs: number;
}

export function h2pingCheck(options: H2PingCheckOptions): CheckProbe {
  const target = splitHostPort(options.address);
  if ('problem' in target)
    return () =>
      Promise.resolve(critical(`Failed to dial to ${options.address}: dial tcp: ${target.problem}`));
  return async (signal) => {
    const limit = startTimeLimit(options.clock, options.timeoutMs, signal);
    let session: ClientHttp2Session | undefined;
    try {
      session = await openSession({ ...target, tls: options.tls }, limit.signal);
      await ping(session);
      return passing('HTTP2 ping was successful');
    } catch (error) {
      const text = limit.isOver() ? 'context deadline exceeded' : messageOf(error);
      return critical(
        session === undefined
          ? `Failed to dial to ${options.address}: ${text}`
          : `Failed to send HTTP2 ping: ${text}`,
      );
    } finally {
      session?.destroy();
      limit.release();
    }
  };
}

function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.once('close', () => reject(new Error('EOF')));
    session.ping((error) => (error === null ? resolve() : reject(error)));
  });
}
