/** One server's part in the consensus: drives the pure core with time, disk and peers. */

import type { Timer } from '../../shared/env.ts';
import { ConsulError, refused } from '../../shared/errors.ts';
import { type Outcome, RaftCore, type Ready } from './core/core.ts';
import { asIndex } from './core/entry.ts';
import type { Message } from './core/messages.ts';
import type { Notice } from './core/outbox.ts';
import { Applier } from './driver/applier.ts';
import { leadershipLost, notLeader, overloaded, shuttingDown, tooLarge } from './driver/errors.ts';
import { logFollower, logInitialConfiguration, logNotice } from './driver/log-lines.ts';
import { LogWriter } from './driver/log-writer.ts';
import { type Opened, openStorage } from './driver/open.ts';
import { type RaftNodeOptions, type ResolvedOptions, resolveOptions } from './driver/options.ts';
import { Peers } from './driver/peers.ts';
import { PendingEntries, type Waiter } from './driver/pending.ts';
import { SnapshotWork } from './driver/snapshot-work.ts';
import { NOT_STARTED, raftStatus } from './driver/status.ts';
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
  readonly writer: LogWriter;
  readonly applier: Applier;
  readonly peers: Peers;
  readonly snapshots: SnapshotWork;
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
    const applier = new Applier(stateMachine, this.#pending, restored.snapshot?.index ?? asIndex(0));
    const work = new SnapshotWork({
      options: this.#options,
      core,
      applier,
      storage,
      writer,
      store: snapshots,
      send: (to, message) => peers.send(to, [message]),
      step: (input) => void this.#step(input),
      isEnded: () => this.#isEnded,
    });
    this.#running = { core, storage, writer, peers, applier, snapshots: work };
    logInitialConfiguration(log, core.state.configurations.current);
    logFollower(log, address, '');
    this.#replay(this.#running);
    work.start();
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
    const { index, term } = await this.#live().snapshots.take();
    return { index, term };
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
    if (ready.installSnapshot !== undefined) void running.snapshots.install(ready.installSnapshot);
    if (running.applier.run(running.core)) this.#scheduleTurn();
    this.#serveReads(running);
    running.snapshots.considerLogSize();
  }

  #send(running: Running, messages: Ready['messages']): void {
    if (messages.length === 0) return;
    const byPeer = new Map<NodeId, WireMessage[]>();
    for (const { to, message } of messages) {
      if (message.kind === 'install-snapshot') {
        void running.snapshots.send(to, message.term);
        continue;
      }
      const batch = byPeer.get(to);
      if (batch === undefined) byPeer.set(to, [message]);
      else batch.push(message);
    }
    for (const [to, batch] of byPeer) running.peers.send(to, batch);
  }

  #receive(from: NodeId, message: WireMessage): void {
    if (message.kind === 'snapshot-chunk') this.#running?.snapshots.chunkArrived(from, message);
    else if (message.kind === 'snapshot-chunk-reply') this.#running?.snapshots.replyArrived(from, message);
    else this.#step({ kind: 'message', from, message: message satisfies Message });
  }

  #lost(peer: NodeId): void {
    this.#running?.snapshots.peerLost(peer);
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
    running.snapshots.leadershipEnded();
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

  async #stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined || this.#isEnded) {
      this.#end(shuttingDown());
      return;
    }
    this.#flush();
    this.#end(shuttingDown());
    await running.writer.drain();
    await running.snapshots.idle();
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
    this.#running?.snapshots.end();
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
