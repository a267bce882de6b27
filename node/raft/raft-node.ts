/** One server's part in the consensus: drives the pure core with time, disk and peers. */

import type { Timer } from '../../shared/env.ts';
import { ConsulError, refused } from '../../shared/errors.ts';
import { type Outcome, RaftCore, type Ready } from './core/core.ts';
import { asIndex, type SnapshotMeta } from './core/entry.ts';
import type { InstallSnapshot, Message } from './core/messages.ts';
import type { Notice } from './core/outbox.ts';
import { Applier } from './driver/applier.ts';
import { leadershipLost, notLeader, overloaded, shuttingDown, tooLarge } from './driver/errors.ts';
import { logFollower, logInitialConfiguration, logNotice } from './driver/log-lines.ts';
import { LogWriter } from './driver/log-writer.ts';
import { type Opened, openStorage } from './driver/open.ts';
import { type RaftNodeOptions, type ResolvedOptions, resolveOptions } from './driver/options.ts';
import { Peers } from './driver/peers.ts';
import { PendingEntries, type Waiter } from './driver/pending.ts';
import { SnapshotReceiver } from './driver/snapshot-receiver.ts';
import { SnapshotSender } from './driver/snapshot-sender.ts';
import { compactionIndex, writeSnapshot } from './driver/snapshot-taker.ts';
import { NOT_STARTED, raftStatus } from './driver/status.ts';
import type { StoredSnapshot } from './snapshots/snapshot-store.ts';
import type { WireMessage } from './transport/codec.ts';
import type {
  LogIndex,
  MembershipChange,
  NodeId,
  RaftEvent,
  RaftNode,
  RaftPeer,
  RaftStatus,
  Term,
} from './types.ts';

export type { RaftNodeOptions, RaftTiming } from './driver/options.ts';
export { raftTiming } from './driver/options.ts';

/**
 * Makes a server's consensus; nothing runs before `start`.
 *
 * @throws Error when an option is out of range
 */
export function createRaftNode(options: RaftNodeOptions): RaftNode {
  return new RaftDriver(resolveOptions(options));
}

/** What a node's core holds, for the simulator's checks; undefined before `start`. Only to be read. */
export function coreOf(node: RaftNode): RaftCore | undefined {
  return node instanceof RaftDriver ? node.core : undefined;
}

const MIB = 1024 * 1024;
const MAX_UNCOMMITTED_BYTES = 64 * MIB;
const TRAILING_BYTES = 32 * MIB;
/** Callers of `changeMembership` that wait for the change before theirs. */
const MAX_WAITING_CHANGES = 16;

interface Proposal extends Waiter {
  readonly data: Uint8Array;
}

interface MembershipRequest extends Waiter {
  readonly change: MembershipChange;
}

interface ReadWaiter {
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: Error) => void;
}

interface Settler {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What exists between `start` and `stop`. */
interface Running {
  readonly core: RaftCore;
  readonly storage: Opened['storage'];
  readonly snapshots: Opened['snapshots'];
  readonly writer: LogWriter;
  readonly applier: Applier;
  readonly receiver: SnapshotReceiver;
  readonly peers: Peers;
}

/**
 * Invariant: the core is stepped and flushed synchronously, never across an await; whatever it wants done is done in
 * the order `write, send, install, tell`. After `#end` nothing is stepped, sent or resolved any more.
 */
class RaftDriver implements RaftNode {
  readonly #options: ResolvedOptions;
  readonly #pending = new PendingEntries();
  readonly #listeners = new Set<(event: RaftEvent) => void>();
  #running: Running | undefined;
  #isEnded = false;
  #failure: Error | undefined;
  #stopping: Promise<void> | undefined;

  #proposals: Proposal[] = [];
  #changes: MembershipRequest[] = [];
  #transfers: Settler[] = [];
  readonly #reads = new Map<number, ReadWaiter>();
  /** Confirmed reads that wait until their index is applied. */
  #confirmedReads: { readonly index: LogIndex; readonly waiter: ReadWaiter }[] = [];
  #nextReadContext = 1;

  #isTurnScheduled = false;
  #isFlushing = false;
  #isFlushAgain = false;
  #deadline: { readonly atMs: number; readonly timer: Timer } | undefined;
  #snapshotTimer: Timer | undefined;
  #snapshotting: Promise<SnapshotMeta> | undefined;
  readonly #senders = new Map<NodeId, SnapshotSender>();
  #nextTransfer = 1;
  /** Snapshots that arrived whole, until the core says what becomes of them. */
  readonly #received = new Map<LogIndex, StoredSnapshot>();
  #told: { readonly role: string; readonly term: number; readonly leader: string | undefined } | undefined;

  constructor(options: ResolvedOptions) {
    this.#options = options;
  }

  get core(): RaftCore | undefined {
    return this.#running?.core;
  }

  async start(): Promise<void> {
    if (this.#isEnded) throw shuttingDown();
    if (this.#running !== undefined) return;
    const { env, stateMachine, log, id, address, network } = this.#options;
    const { storage, snapshots, restored } = await openStorage(this.#options);
    if (this.#isEnded) {
      await storage.close();
      throw shuttingDown();
    }
    const core = new RaftCore(
      {
        id,
        timing: this.#options.timing,
        limits: {
          maxEntriesPerAppend: this.#options.maxEntriesPerAppend,
          maxBytesPerAppend: this.#options.maxBytesPerAppend,
          maxInflightAppends: 32,
          maxInflightBytes: 8 * MIB,
          maxUncommittedBytes: MAX_UNCOMMITTED_BYTES,
        },
        random: () => env.random.next(),
        plantedBug: this.#options.plantedBug,
      },
      restored,
      env.clock.monotonicMs(),
    );
    const writer = new LogWriter(
      storage,
      (sequence) => this.#step({ kind: 'persisted', sequence }),
      (error) => this.#fail(error),
    );
    const peers = new Peers({
      id,
      address,
      network,
      env,
      log,
      silenceMs: Math.max(3 * this.#options.timing.electionMs, 1000),
      peerById: (peer) => core.state.configurations.current.peers.find((known) => known.id === peer),
      onMessage: (from, message) => this.#receive(from, message),
      onSpeakerGone: (from) => this.#step({ kind: 'stream-closed', id: from }),
      onLost: (peer) => this.#lost(peer),
    });
    this.#running = {
      core,
      storage,
      snapshots,
      writer,
      peers,
      applier: new Applier(stateMachine, this.#pending, restored.snapshot?.index ?? asIndex(0)),
      receiver: new SnapshotReceiver({
        store: snapshots,
        reply: (to, transfer, offset) => this.#replyToChunk(to, transfer, offset),
        onReceived: (from, chunk, snapshot) => this.#snapshotReceived(from, chunk.term, snapshot),
        onFailure: (error) => log.error('failed to receive snapshot', { error: error.message }),
      }),
    };
    logInitialConfiguration(log, core.state.configurations.current);
    logFollower(log, address, '');
    this.#replay(this.#running);
    this.#armSnapshotTimer();
    this.#flush();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  propose(data: Uint8Array): Promise<{ readonly index: LogIndex; readonly result: unknown }> {
    const running = this.#running;
    if (running === undefined || this.#isEnded) return Promise.reject(shuttingDown());
    if (running.core.state.role !== 'leader') return Promise.reject(notLeader());
    if (data.length > this.#options.maxCommandBytes)
      return Promise.reject(tooLarge(data.length, this.#options.maxCommandBytes));
    return new Promise((resolve, reject) => {
      this.#proposals.push({ data, resolve, reject });
      this.#scheduleTurn();
    });
  }

  readBarrier(): Promise<LogIndex> {
    const running = this.#running;
    if (running === undefined || this.#isEnded) return Promise.reject(shuttingDown());
    const context = this.#nextReadContext++;
    if (running.core.state.role !== 'leader') return Promise.reject(notLeader());
    return new Promise((resolve, reject) => {
      this.#reads.set(context, { resolve, reject });
      this.#step({ kind: 'read', context });
    });
  }

  hasLease(): boolean {
    if (this.#running === undefined || this.#isEnded) return false;
    return this.#running.core.hasLease(this.#options.env.clock.monotonicMs());
  }

  hasState(): boolean {
    const state = this.#running?.core.state;
    return state !== undefined && (state.term > 0 || state.log.lastIndex > 0);
  }

  async bootstrap(peers: readonly RaftPeer[]): Promise<void> {
    const running = this.#live();
    if (!peers.some((peer) => peer.isVoter)) throw refused('need at least one voter in configuration');
    const outcome = this.#step({ kind: 'bootstrap', peers });
    if (outcome.kind === 'refused') throw refused(outcome.text);
    this.#flush();
    await running.writer.drain();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async changeMembership(change: MembershipChange): Promise<void> {
    const { core } = this.#live();
    if (core.state.role !== 'leader') throw notLeader();
    if (this.#changes.length >= MAX_WAITING_CHANGES)
      throw overloaded('too many configuration changes are waiting');
    await new Promise((resolve, reject) => {
      this.#changes.push({ change, resolve, reject });
      this.#scheduleTurn();
    });
  }

  async transferLeadership(to?: NodeId): Promise<void> {
    const { core } = this.#live();
    if (core.state.role !== 'leader') throw notLeader();
    await new Promise<void>((resolve, reject) => {
      this.#transfers.push({ resolve, reject });
      const outcome = this.#step({ kind: 'transfer', to });
      if (outcome.kind !== 'refused') return;
      this.#transfers = this.#transfers.filter((waiting) => waiting.reject !== reject);
      reject(outcome.reason === 'not-leader' ? notLeader(outcome.text) : refused(outcome.text));
    });
  }

  async takeSnapshot(): Promise<{ readonly index: LogIndex; readonly term: Term }> {
    while (this.#snapshotting !== undefined) await this.#snapshotting.catch(() => {});
    const { core, applier } = this.#live();
    const last = core.state.snapshot;
    if (last !== undefined && last.index >= applier.appliedIndex)
      return { index: last.index, term: last.term };
    if (applier.appliedIndex === 0) throw refused('nothing new to snapshot');
    const meta = await this.#snapshot();
    return { index: meta.index, term: meta.term };
  }

  status(): RaftStatus {
    if (this.#running === undefined) return NOT_STARTED;
    const { core, applier, peers } = this.#running;
    const status = raftStatus(core, applier.appliedIndex, this.#nowMs(), (id) =>
      id === this.#options.id ? this.#options.address : peers.addressOf(id),
    );
    return this.#isEnded ? { ...status, role: 'follower', leader: undefined, progress: new Map() } : status;
  }

  subscribe(listener: (event: RaftEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #live(): Running {
    if (this.#running === undefined || this.#isEnded) throw shuttingDown();
    return this.#running;
  }

  /** Applies what was known to be committed before the restart, so that stale reads are served at once. */
  #replay(running: Running): void {
    while (running.applier.run(running.core));
  }

  /** Everything that moves the core goes through here: an exception means that an invariant is broken. */
  #step(input: Parameters<RaftCore['step']>[0]): Outcome {
    const running = this.#running;
    if (running === undefined || this.#isEnded)
      return { kind: 'refused', reason: 'not-leader', text: 'raft is already shutdown' };
    try {
      const outcome = running.core.step(input, this.#options.env.clock.monotonicMs());
      // What a sync or the clock brings has waited enough; what others send is joined by the rest of this turn.
      if (input.kind === 'persisted' || input.kind === 'tick') this.#flush();
      else this.#scheduleTurn();
      return outcome;
    } catch (error) {
      this.#fail(error);
      return { kind: 'refused', reason: 'invalid', text: 'raft has failed' };
    }
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    this.#options.endOfTurn(() => {
      this.#isTurnScheduled = false;
      this.#flush();
    });
  }

  /** The end of a turn: everything that came up in it becomes one write, one message batch a peer, one run. */
  #flush(): void {
    const running = this.#running;
    if (running === undefined || this.#isEnded) return;
    this.#isFlushAgain = true;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      while (this.#isFlushAgain && !this.#isEnded) {
        this.#isFlushAgain = false;
        this.#submit(running.core);
        this.#carryOut(running, running.core.ready(this.#options.env.clock.monotonicMs()));
      }
      if (!this.#isEnded) this.#armDeadline(running.core);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isFlushing = false;
    }
  }

  #submit(core: RaftCore): void {
    if (this.#proposals.length > 0) {
      const proposals = this.#proposals;
      this.#proposals = [];
      this.#propose(core, proposals);
    }
    while (this.#changes.length > 0) {
      const request = this.#changes[0] as MembershipRequest;
      const outcome = core.step({ kind: 'change-membership', change: request.change }, this.#nowMs());
      if (outcome.kind === 'refused' && outcome.reason === 'not-yet') return;
      this.#changes.shift();
      if (outcome.kind === 'appended') this.#pending.add(outcome.firstIndex, outcome.term, request);
      else if (outcome.kind === 'refused') request.reject(refusalError(outcome));
    }
  }

  #propose(core: RaftCore, proposals: readonly Proposal[]): void {
    const commands = proposals.map((proposal) => proposal.data);
    const outcome = core.step({ kind: 'propose', commands }, this.#nowMs());
    if (outcome.kind === 'appended') {
      for (const [i, proposal] of proposals.entries())
        this.#pending.add(asIndex(outcome.firstIndex + i), outcome.term, proposal);
    } else if (outcome.kind === 'refused') {
      for (const proposal of proposals) proposal.reject(refusalError(outcome));
    }
  }

  #carryOut(running: Running, ready: Ready): void {
    if (ready.write !== undefined) running.writer.write(ready.write);
    this.#send(running, ready.messages);
    for (const notice of ready.notices) this.#tell(running, notice);
    this.#announceLeadership(running);
    if (ready.installSnapshot !== undefined) void this.#install(running, ready.installSnapshot);
    if (running.applier.run(running.core)) this.#scheduleTurn();
    this.#serveReads(running);
    if (this.#isSnapshotUrgent(running)) this.#snapshotInBackground();
  }

  #send(running: Running, messages: Ready['messages']): void {
    if (messages.length === 0) return;
    const byPeer = new Map<NodeId, WireMessage[]>();
    for (const { to, message } of messages) {
      if (message.kind === 'install-snapshot') {
        void this.#sendSnapshot(running, to, message);
        continue;
      }
      const batch = byPeer.get(to);
      if (batch === undefined) byPeer.set(to, [message]);
      else batch.push(message);
    }
    for (const [to, batch] of byPeer) running.peers.send(to, batch);
  }

  #receive(from: NodeId, message: WireMessage): void {
    if (message.kind === 'snapshot-chunk') {
      const { core, receiver } = this.#live();
      if (message.term >= core.state.term) receiver.chunk(from, message);
    } else if (message.kind === 'snapshot-chunk-reply') {
      this.#senders.get(from)?.acknowledged(message);
    } else {
      this.#step({ kind: 'message', from, message: message satisfies Message });
    }
  }

  #lost(peer: NodeId): void {
    this.#endTransferTo(peer, false);
    this.#step({ kind: 'unreachable', id: peer });
  }

  #tell(running: Running, notice: Notice): void {
    logNotice(this.#options.log, notice, this.#options.address, (id) => this.#addressOf(running, id));
    switch (notice.kind) {
      case 'reads-confirmed':
        for (const context of notice.contexts) {
          const waiter = this.#reads.get(context);
          this.#reads.delete(context);
          if (waiter !== undefined) this.#confirmedReads.push({ index: notice.index, waiter });
        }
        return;
      case 'reads-failed':
        for (const context of notice.contexts) {
          this.#reads.get(context)?.reject(notLeader());
          this.#reads.delete(context);
        }
        return;
      case 'configuration': {
        const { configurations, leader, leadership } = running.core.state;
        const { peers } = configurations.current;
        running.peers.retain(
          (id) => id === leader || leadership?.progress.has(id) || peers.some((peer) => peer.id === id),
        );
        this.#emit({ kind: 'configuration', peers });
        return;
      }
      case 'transfer-aborted':
        for (const waiting of this.#transfers)
          waiting.reject(new ConsulError('timeout', 500, 'leadership transfer timeout', { applied: 'no' }));
        this.#transfers = [];
        return;
      default:
        return;
    }
  }

  #announceLeadership(running: Running): void {
    const { state } = running.core;
    const before = this.#told;
    if (before?.role === state.role && before.term === state.term && before.leader === state.leader) return;
    this.#told = { role: state.role, term: state.term, leader: state.leader };
    if (state.role !== 'leader') this.#leadershipEnded(running);
    const { role, term, leader } = this.status();
    if (before !== undefined || role !== 'follower' || leader !== undefined)
      this.#emit({ kind: 'leadership', role, term, leader });
  }

  #leadershipEnded(running: Running): void {
    this.#pending.leadershipLost(running.core.state.commitIndex);
    for (const request of this.#changes) request.reject(notLeader());
    this.#changes = [];
    for (const waiting of this.#transfers) waiting.resolve();
    this.#transfers = [];
    for (const id of [...this.#senders.keys()]) this.#endTransferTo(id, false);
  }

  #serveReads(running: Running): void {
    if (this.#confirmedReads.length === 0) return;
    const { appliedIndex } = running.applier;
    const waiting = this.#confirmedReads;
    this.#confirmedReads = waiting.filter((read) => read.index > appliedIndex);
    for (const read of waiting) if (read.index <= appliedIndex) read.waiter.resolve(appliedIndex);
  }

  #armDeadline(core: RaftCore): void {
    const atMs = core.nextDeadlineMs();
    // A deadline that moved back is looked at when the old one fires: most are moved long before they are due.
    if (this.#deadline !== undefined && this.#deadline.atMs <= atMs) return;
    this.#deadline?.timer.cancel();
    const delayMs = Math.max(0, atMs - this.#nowMs());
    const timer = this.#options.env.clock.setTimer(delayMs, () => {
      this.#deadline = undefined;
      if (core.nextDeadlineMs() <= this.#nowMs()) this.#step({ kind: 'tick' });
      else if (!this.#isEnded) this.#armDeadline(core);
    });
    this.#deadline = { atMs, timer };
  }

  async #install(running: Running, meta: SnapshotMeta): Promise<void> {
    const received = this.#received.get(meta.index);
    this.#received.clear();
    try {
      if (received === undefined) throw new Error('the snapshot is gone');
      await running.applier.replace(meta.index, running.snapshots.read(received));
    } catch (error) {
      this.#options.log.error('failed to restore snapshot', { error: textOf(error) });
      this.#step({ kind: 'snapshot-failed' });
      return;
    }
    await running.writer.writeItem({ kind: 'reset', index: meta.index, term: meta.term });
    this.#options.log.info('Installed remote snapshot');
    this.#step({ kind: 'snapshot-installed', meta });
    this.#compactStorage(running, meta.index);
  }

  #snapshotReceived(from: NodeId, term: Term, snapshot: StoredSnapshot): void {
    this.#received.set(snapshot.meta.index, snapshot);
    const message: InstallSnapshot = { kind: 'install-snapshot', term, meta: snapshot.meta };
    this.#step({ kind: 'message', from, message });
  }

  #replyToChunk(to: NodeId, transfer: number, offset: number): void {
    const running = this.#running;
    if (running === undefined || this.#isEnded) return;
    const { term } = running.core.state;
    running.peers.send(to, [{ kind: 'snapshot-chunk-reply', term, transfer, offset }]);
  }

  async #sendSnapshot(running: Running, to: NodeId, message: InstallSnapshot): Promise<void> {
    this.#senders.get(to)?.cancel();
    this.#senders.delete(to);
    const [snapshot] = await running.snapshots.list().catch(() => []);
    if (this.#isEnded) return;
    const { state } = running.core;
    if (snapshot === undefined || state.role !== 'leader' || state.term !== message.term) {
      this.#step({ kind: 'snapshot-sent', to, ok: false });
      return;
    }
    const transfer = this.#nextTransfer++;
    const sender = new SnapshotSender({
      env: this.#options.env,
      term: message.term,
      transfer,
      snapshot,
      readAt: (offset, length) => running.snapshots.readAt(snapshot, offset, length),
      send: (chunk) => running.peers.send(to, [chunk]),
      retryMs: this.#options.timing.electionMs,
      onEnd: (ok) => {
        if (this.#senders.get(to)?.transfer !== transfer) return;
        this.#senders.delete(to);
        this.#step({ kind: 'snapshot-sent', to, ok });
      },
    });
    this.#senders.set(to, sender);
    sender.start();
  }

  #endTransferTo(peer: NodeId, ok: boolean): void {
    const sender = this.#senders.get(peer);
    if (sender === undefined) return;
    sender.cancel();
    this.#senders.delete(peer);
    this.#step({ kind: 'snapshot-sent', to: peer, ok });
  }

  #armSnapshotTimer(): void {
    const { env, snapshotIntervalMs } = this.#options;
    this.#snapshotTimer = env.clock.setTimer(snapshotIntervalMs * (1 + env.random.next()), () => {
      const running = this.#running;
      if (running === undefined || this.#isEnded) return;
      const since = running.applier.appliedIndex - (running.core.state.snapshot?.index ?? 0);
      if (since >= this.#options.snapshotThreshold) this.#snapshotInBackground();
      this.#armSnapshotTimer();
    });
  }

  /** The log in memory has grown past its bound, and a snapshot would free a good part of it. */
  #isSnapshotUrgent(running: Running): boolean {
    const { log, snapshot } = running.core.state;
    const limit = this.#options.snapshotThresholdBytes;
    if (log.bytes < limit || this.#snapshotting !== undefined) return false;
    return running.applier.appliedIndex - (snapshot?.index ?? 0) >= (log.lastIndex - log.baseIndex) / 2;
  }

  #snapshotInBackground(): void {
    if (this.#snapshotting !== undefined) return;
    this.#snapshot().catch((error: unknown) => {
      this.#options.log.error('failed to take snapshot', { error: textOf(error) });
    });
  }

  #snapshot(): Promise<SnapshotMeta> {
    const running = this.#live();
    const taking = this.#takeAndCompact(running).finally(() => {
      this.#snapshotting = undefined;
    });
    this.#snapshotting = taking;
    return taking;
  }

  async #takeAndCompact(running: Running): Promise<SnapshotMeta> {
    const { core, applier, snapshots } = running;
    if (applier.isReplacing) throw refused('a snapshot is being restored');
    this.#options.log.info('starting snapshot up to', { index: applier.appliedIndex });
    const meta = await writeSnapshot(core, this.#options.stateMachine, snapshots, applier.appliedIndex);
    const trailingBytes = Math.min(TRAILING_BYTES, this.#options.snapshotThresholdBytes / 2);
    const compactTo = compactionIndex(core.state.log, meta.index, this.#options.trailingLogs, trailingBytes);
    this.#step({ kind: 'snapshot-taken', meta, compactTo });
    this.#compactStorage(running, core.state.log.baseIndex);
    this.#options.log.info('snapshot complete up to', { index: meta.index });
    return meta;
  }

  #compactStorage(running: Running, index: LogIndex): void {
    if (this.#isEnded) return;
    running.storage.compact(index).catch((error: unknown) => {
      // What could not be removed is only in the way; the next compaction starts with it again.
      this.#options.log.warn('failed to compact logs', { error: textOf(error) });
    });
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined || this.#isEnded) {
      this.#end(shuttingDown());
      return;
    }
    this.#flush();
    this.#end(shuttingDown());
    await running.writer.drain();
    running.receiver.abort();
    await running.receiver.idle();
    await this.#snapshotting?.catch(() => {});
    await running.storage.close();
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    const failure = error instanceof Error ? error : new Error(String(error));
    this.#failure = failure;
    this.#options.log.error('raft failed, the process must stop', { error: failure.message });
    this.#end(leadershipLost());
    this.#emit({ kind: 'fatal', error: failure });
  }

  /** Nothing goes in or out from here on. What was appended has an outcome that is not known here. */
  #end(error: Error): void {
    this.#isEnded = true;
    this.#deadline?.timer.cancel();
    this.#snapshotTimer?.cancel();
    for (const sender of this.#senders.values()) sender.cancel();
    this.#senders.clear();
    this.#running?.peers.close();
    this.#pending.rejectAll(leadershipLost());
    for (const waiting of [...this.#proposals, ...this.#changes, ...this.#transfers]) waiting.reject(error);
    for (const waiting of this.#reads.values()) waiting.reject(error);
    for (const { waiter } of this.#confirmedReads) waiter.reject(error);
    this.#proposals = [];
    this.#changes = [];
    this.#transfers = [];
    this.#reads.clear();
    this.#confirmedReads = [];
  }

  #emit(event: RaftEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #addressOf(running: Running, id: NodeId | undefined): string {
    if (id === undefined) return '';
    if (id === this.#options.id) return this.#options.address;
    const known = running.core.state.configurations.current.peers.find((peer) => peer.id === id);
    return running.peers.addressOf(id) ?? known?.address ?? '';
  }

  #nowMs(): number {
    return this.#options.env.clock.monotonicMs();
  }
}

function refusalError(outcome: Outcome & { readonly kind: 'refused' }): ConsulError {
  switch (outcome.reason) {
    case 'not-leader':
    case 'transferring':
      return notLeader(outcome.text);
    case 'not-yet':
    case 'invalid':
      return refused(outcome.text);
    case 'overloaded':
      return overloaded(outcome.text);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
