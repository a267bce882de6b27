/** UDP checks: an empty datagram is sent; any answer or silence passes, a refusal does not. */

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import type { Clock } from '../../../shared/env.ts';
import { dialError, splitHostPort } from './go-errors.ts';
import { startTimeLimit } from './time-limit.ts';
import { type CheckProbe, type CheckResult, critical, passing } from './types.ts';

export interface UdpCheckOptions {
  readonly clock: Clock;
  /** `host:port`. */
  readonly address: string;
  /** How long silence is listened to before it counts as success. */
  readonly timeoutMs: number;
}

export function udpCheck(options: UdpCheckOptions): CheckProbe {
  const target = splitHostPort(options.address);
  if ('problem' in target) return () => Promise.resolve(critical(`dial udp: ${target.problem}`));
  const success = passing(`UDP connect ${options.address}: Success`);
  return async (signal) => {
    let address: { address: string; family: number };
    try {
      address = await lookup(target.host);
    } catch (error) {
      return critical(dialError('udp', target.host, target.port, error));
    }
    return new Promise<CheckResult>((resolve) => {
      const limit = startTimeLimit(options.clock, options.timeoutMs, signal);
      const socket = createSocket(address.family === 6 ? 'udp6' : 'udp4');
      let isOpen = true;
      const end = (result: CheckResult) => {
        limit.release();
        if (isOpen) socket.close();
        isOpen = false;
        resolve(result);
      };
      const fail = (error: unknown) => end(critical(dialError('udp', address.address, target.port, error)));
      socket.on('error', fail);
      socket.once('message', () => end(success));
      limit.signal.addEventListener('abort', () => end(success), { once: true });
      if (limit.signal.aborted) {
        end(success);
        return;
      }
      // A connected socket is the only one that the kernel tells about an ICMP refusal.
      socket.connect(target.port, address.address, (error?: Error) => {
        if (error) fail(error);
        else if (isOpen) socket.send('', (sendError) => sendError && fail(sendError));
      });
    });
  };
}
