/** TCP checks: the address accepts a connection. */

import { connect } from 'node:net';
import type { Clock } from '../../../shared/env.ts';
import { dialError, dialTimeout, splitHostPort } from './go-errors.ts';
import { startTimeLimit } from './time-limit.ts';
import { type CheckProbe, type CheckResult, critical, passing } from './types.ts';

export interface TcpCheckOptions {
  readonly clock: Clock;
  /** `host:port`. */
  readonly address: string;
  readonly timeoutMs: number;
}

export function tcpCheck(options: TcpCheckOptions): CheckProbe {
  const target = splitHostPort(options.address);
  if ('problem' in target) return () => Promise.resolve(critical(`dial tcp: ${target.problem}`));
  const { host, port } = target;
  return (signal) =>
    new Promise<CheckResult>((resolve) => {
      const limit = startTimeLimit(options.clock, options.timeoutMs, signal);
      const socket = connect({ host, port });
      const end = (result: CheckResult) => {
        limit.release();
        socket.destroy();
        resolve(result);
      };
      socket.once('connect', () => end(passing(`TCP connect ${options.address}: Success`)));
      // Stays on after the end: a late error without a listener would be uncaught.
      socket.on('error', (error) => end(critical(dialError('tcp', host, port, error))));
      limit.signal.addEventListener('abort', () => end(critical(dialTimeout('tcp', host, port))), {
        once: true,
      });
      if (limit.signal.aborted) end(critical('cancelled'));
    });
}
