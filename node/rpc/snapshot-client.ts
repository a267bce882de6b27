/** Snapshots of a client agent: it asks the servers in turn until one takes the request. */

import type { Env } from '../../shared/env.ts';
import { sleep } from '../../shared/env.ts';
import { noKnownServers, toConsulError } from '../../shared/errors.ts';
import { DEFAULT_HOLD_MS, Hold } from './hold.ts';
import {
  remoteSnapshots,
  type SnapshotAccess,
  type SnapshotRequest,
  type SnapshotService,
} from './snapshots.ts';

export interface SnapshotClientOptions {
  /** `host:port` of the live servers, the preferred one first. */
  readonly servers: () => readonly string[];
  readonly env: Env;
  /** Default 7000. */
  readonly holdMs?: number;
}

export function createSnapshotClient(options: SnapshotClientOptions): SnapshotAccess {
  const { env, servers } = options;

  /** Nothing of an archive has been sent when a server refuses, so another may be asked. */
  async function accepted<T>(ask: (service: SnapshotService) => Promise<T>): Promise<T> {
    const hold = new Hold(env, options.holdMs ?? DEFAULT_HOLD_MS);
    for (let attempt = 0; ; attempt++) {
      const known = servers();
      const address = known[attempt % Math.max(1, known.length)];
      if (address === undefined) throw noKnownServers();
      hold.beginAttempt();
      try {
        return await ask(remoteSnapshots(address, env));
      } catch (thrown) {
        hold.checkRetry(toConsulError(thrown), 'write');
      }
      if ((attempt + 1) % known.length === 0) await sleep(env.clock, 1 + env.random.next() * hold.pauseMs);
    }
  }

  return {
    saveSnapshot: (asked) => {
      const request: SnapshotRequest = { ...asked, kind: 'save', isForwarded: false };
      return accepted((service) => service.save(request));
    },
    async restoreSnapshot(asked, archive) {
      const request: SnapshotRequest = { ...asked, kind: 'restore', isForwarded: false };
      const target = await accepted((service) => service.restore(request));
      await target.take(archive);
    },
  };
}
