/** Decides who saves or restores a snapshot: this server, the leader elsewhere, or another datacenter. */

import type { Socket } from 'node:net';
import type { Env } from '../../../shared/env.ts';
import { noPathToDatacenter, toConsulError } from '../../../shared/errors.ts';
import type { RaftNode } from '../../raft/types.ts';
import type { ReadMeta } from '../../rpc/backend.ts';
import { Hold } from '../../rpc/hold.ts';
import { isTransportFailure } from '../../rpc/rpc-errors.ts';
import {
  type RestoreTarget,
  remoteSnapshots,
  type SavedSnapshot,
  type SnapshotAccess,
  type SnapshotOptions,
  type SnapshotRequest,
  type SnapshotService,
  serveSnapshot,
} from '../../rpc/snapshots.ts';
import type { Store } from '../../state/store.ts';
import type { Datacenters } from '../datacenters.ts';
import { type Leadership, notLeader } from '../leadership.ts';
import { type ArchiveSource, writeArchive } from './archive-writer.ts';
import type { RestoreRun } from './restore-run.ts';

const MAX_REMOTE_ATTEMPTS = 3;
/** Connections from other agents for snapshots; each costs a pass over the state. */
const MAX_SERVED = 16;

export interface SnapshotPathOptions {
  readonly datacenter: string;
  readonly store: Store;
  readonly raft: RaftNode;
  readonly leadership: Leadership;
  readonly datacenters: Datacenters;
  readonly restoreRun: RestoreRun;
  readonly env: Env;
  readonly holdMs: number;
}

export class SnapshotPath implements SnapshotService, SnapshotAccess {
  readonly #o: SnapshotPathOptions;
  #served = 0;

  constructor(options: SnapshotPathOptions) {
    this.#o = options;
  }

  saveSnapshot(asked: SnapshotOptions): Promise<SavedSnapshot> {
    return this.save({ ...asked, kind: 'save', isForwarded: false });
  }

  async restoreSnapshot(asked: SnapshotOptions, archive: AsyncIterable<Uint8Array>): Promise<void> {
    const target = await this.restore({ ...asked, kind: 'restore', isForwarded: false });
    await target.take(archive);
  }

  /** Takes over a connection that another agent opened for a snapshot. */
  serve(socket: Socket): void {
    if (this.#served >= MAX_SERVED) {
      socket.destroy();
      return;
    }
    this.#served++;
    void serveSnapshot(socket, this, this.#o.env).finally(() => {
      this.#served--;
    });
  }

  async save(request: SnapshotRequest): Promise<SavedSnapshot> {
    const asked = (service: SnapshotService, forward: SnapshotRequest) => service.save(forward);
    if (!this.#isOwn(request.datacenter)) return this.#viaDatacenter(request, asked);
    const { knownLeader, ms } = this.#o.leadership.contact();
    if (request.isStale && ms !== undefined)
      return this.#saveHere({ knownLeader, lastContactMs: Math.trunc(ms) });
    if (request.isForwarded) return this.#saveAsLeader();
    return this.#viaLeader(request, () => this.#saveAsLeader(), asked);
  }

  async restore(request: SnapshotRequest): Promise<RestoreTarget> {
    const asked = (service: SnapshotService, forward: SnapshotRequest) => service.restore(forward);
    if (!this.#isOwn(request.datacenter)) return this.#viaDatacenter(request, asked);
    if (request.isForwarded) return this.#restoreAsLeader();
    return this.#viaLeader(request, async () => this.#restoreAsLeader(), asked);
  }

  async #saveAsLeader(): Promise<SavedSnapshot> {
    const { leadership, raft } = this.#o;
    if (!leadership.isReady) throw notLeader();
    if (!leadership.canReadUnderLease()) await raft.readBarrier();
    return this.#saveHere({ knownLeader: true, lastContactMs: 0 });
  }

  #saveHere(contact: Omit<ReadMeta, 'index'>): SavedSnapshot {
    const source = this.#source();
    return { meta: { ...contact, index: source.index }, archive: writeArchive(source) };
  }

  /** The state of this moment: a view is read once, so there is one for each of the archive's two passes. */
  #source(): ArchiveSource {
    const { env, raft, store } = this.#o;
    const views = [store.snapshot(), store.snapshot()];
    const unread = [...views];
    const status = raft.status();
    return {
      chunks() {
        const view = unread.shift();
        if (view === undefined) throw new Error('the state was read twice already');
        return view.chunks();
      },
      release() {
        for (const view of views) view.release();
      },
      index: Math.max(1, status.appliedIndex + store.indexOffset),
      term: status.term,
      peers: status.peers,
      configurationIndex: status.configurationIndex,
      timeMs: env.clock.nowMs(),
    };
  }

  /** @throws ConsulError `not-leader` */
  #restoreAsLeader(): RestoreTarget {
    const { leadership, restoreRun } = this.#o;
    if (!leadership.isReady) throw notLeader();
    return { take: (archive) => restoreRun.restore(archive), abandon: () => {} };
  }

  async #viaLeader<T>(
    request: SnapshotRequest,
    here: () => Promise<T>,
    there: (service: SnapshotService, forward: SnapshotRequest) => Promise<T>,
  ): Promise<T> {
    const { env, leadership } = this.#o;
    const hold = new Hold(env, this.#o.holdMs);
    for (;;) {
      hold.beginAttempt();
      try {
        if (leadership.isLeader) return await here();
        const address = leadership.leaderAddress;
        if (address === '') throw notLeader();
        return await there(remoteSnapshots(address, env), { ...request, isForwarded: true });
      } catch (thrown) {
        hold.checkRetry(toConsulError(thrown), 'write');
      }
      await leadership.changed(hold.pauseMs);
    }
  }

  async #viaDatacenter<T>(
    request: SnapshotRequest,
    there: (service: SnapshotService, forward: SnapshotRequest) => Promise<T>,
  ): Promise<T> {
    const { datacenters, env } = this.#o;
    for (const address of datacenters.remoteAddresses(request.datacenter).slice(0, MAX_REMOTE_ATTEMPTS)) {
      try {
        return await there(remoteSnapshots(address, env), { ...request, isForwarded: false });
      } catch (thrown) {
        if (!isTransportFailure(toConsulError(thrown))) throw thrown;
      }
    }
    throw noPathToDatacenter();
  }

  #isOwn(datacenter: string): boolean {
    return datacenter === '' || datacenter === this.#o.datacenter;
  }
}
