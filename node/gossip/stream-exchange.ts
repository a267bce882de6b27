/** One message over one stream, with a deadline. */

import type { Clock } from '../../shared/env.ts';
import { StreamAssembler } from './codec/stream.ts';
import type { GossipStream } from './gossip-transport.ts';

/**
 * Collects the next whole message, still sealed. The stream stays open.
 *
 * @throws Error when the peer closes first, sends what cannot be a message, or takes longer than `timeoutMs`
 */
export function receiveSealed(stream: GossipStream, clock: Clock, timeoutMs: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const assembler = new StreamAssembler();
    let isSettled = false;
    const settle = (act: () => void) => {
      if (isSettled) return;
      isSettled = true;
      timer.cancel();
      act();
    };
    const timer = clock.setTimer(timeoutMs, () => settle(() => reject(new Error('i/o timeout'))));
    stream.listen(
      (chunk) => {
        if (isSettled) return;
        const result = assembler.push(chunk);
        if (result?.kind === 'message') settle(() => resolve(result.message));
        if (result?.kind === 'refused') settle(() => reject(new Error(result.problem)));
      },
      (error) => settle(() => reject(error ?? new Error('EOF'))),
    );
  });
}
