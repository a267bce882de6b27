/** Sends this node's network coordinate to the servers, at a rate that stays level while the cluster grows. */

import type { Env, Timer } from '../../../shared/env.ts';
import { toConsulError } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import type { Coordinate } from '../../../shared/types/v1.ts';
import type { Backend } from '../../rpc/backend.ts';
import { coordinateUpdate } from '../../rpc/endpoints.ts';
import { COORDINATE_INTERVAL_MIN_MS, coordinateDelayMs } from './timing.ts';

export interface CoordinateSenderOptions {
  readonly env: Env;
  readonly log: Logger;
  readonly backend: Backend;
  readonly nodeName: string;
  readonly datacenter: string;
  /** null while there is none yet. */
  readonly coordinate: () => Coordinate | null;
  readonly clusterSize: () => number;
  /** Until the first update; one interval when absent. */
  readonly firstDelayMs: number | undefined;
  readonly agentToken: () => string;
}

/** @returns what stops it */
export function startCoordinateSender(options: CoordinateSenderOptions): () => void {
  const { env, log, backend } = options;
  let isStopped = false;
  let timer: Timer;

  const wait = (delayMs?: number) => {
    const nextMs =
      delayMs ?? coordinateDelayMs(COORDINATE_INTERVAL_MIN_MS, options.clusterSize(), env.random);
    timer = env.clock.setTimer(nextMs, () => void send());
  };
  const send = async () => {
    const coordinate = options.coordinate();
    if (coordinate !== null) {
      const call = { datacenter: options.datacenter, token: options.agentToken() };
      try {
        await backend.write(coordinateUpdate, { node: options.nodeName, coordinate }, call);
      } catch (thrown) {
        const error = toConsulError(thrown);
        if (error.code === 'permission-denied') log.warn('Coordinate update blocked by ACLs');
        else log.error('Coordinate update error', { error: error.message });
      }
    }
    if (!isStopped) wait();
  };

  wait(options.firstDelayMs);
  return () => {
    isStopped = true;
    timer.cancel();
  };
}
