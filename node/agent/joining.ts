/** Joins at start: `start_join` once, `retry_join` in the background until it works. */

import type { Clock } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { JoinSettings } from '../config/config.ts';
import type { GossipPool } from '../gossip/types.ts';

export interface Joiner {
  /** @throws Error of the pool when none of the addresses answered */
  startJoin(): Promise<void>;
  /** Returns at once. `exhausted` is called when `retry_max` attempts failed. */
  startRetrying(exhausted: (error: Error) => void): void;
  stop(): void;
}

export function createJoiner(
  pool: GossipPool,
  name: 'LAN' | 'WAN',
  settings: JoinSettings,
  clock: Clock,
  log: Logger,
): Joiner {
  let isStopped = false;
  let timer: { cancel(): void } | undefined;

  const list = (addresses: readonly string[]) => `[${addresses.join(' ')}]`;

  async function joinOnce(addresses: readonly string[]): Promise<number> {
    const key = name === 'LAN' ? 'lan_addresses' : 'wan_addresses';
    log.info(`(${name}) joining`, { [key]: list(addresses) });
    const joined = await pool.join(addresses, true);
    log.info(`(${name}) joined`, { number_of_nodes: joined });
    return joined;
  }

  async function attempt(number: number, exhausted: (error: Error) => void): Promise<void> {
    if (isStopped) return;
    try {
      const joined = await joinOnce(settings.retryJoin);
      log.info('Join cluster completed. Synced with initial agents', { cluster: name, num_agents: joined });
    } catch (error) {
      if (isStopped) return;
      const text = error instanceof Error ? error.message : String(error);
      if (settings.retryMax > 0 && number > settings.retryMax) {
        exhausted(new Error(`agent: max join ${name} retry exhausted, exiting`));
        return;
      }
      const seconds = settings.retryIntervalMs / 1000;
      log.warn('Join cluster failed, will retry', {
        cluster: name,
        retry_interval: `${seconds}s`,
        error: text,
      });
      timer = clock.setTimer(settings.retryIntervalMs, () => void attempt(number + 1, exhausted));
    }
  }

  return {
    async startJoin() {
      if (settings.startJoin.length > 0) await joinOnce(settings.startJoin);
    },
    startRetrying(exhausted) {
      if (settings.retryJoin.length === 0) return;
      log.info('Joining cluster...', { cluster: name });
      void attempt(1, exhausted);
    },
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}
