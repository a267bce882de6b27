/** One server's part in the consensus: drives the pure core with time, disk and peers. */

import { refused } from '../../../shared/errors.ts';
import { RaftCore } from '../core/core.ts';
import { asIndex } from '../core/entry.ts';
import type { Outcome, Ready } from '../core/input.ts';
import type { Message } from '../core/messages.ts';
import type { Notice } from '../core/outbox.ts';
import type { WireMessage } from '../transport/codec.ts';
import type {
  LogIndex,
  MembershipChange,
  NodeId,
  RaftEvent,
  RaftNode,
  RaftPeer,
  RaftStatus,
  Term,
} from '../types.ts';
import { Applier } from './applier.ts';
import { leadershipLost, notLeader, shuttingDown, tooLarge } from './errors.ts';
import { logFollower, logInitialConfiguration, logNotice } from './log-lines.ts';
import { LogWriter } from './log-writer.ts';
import { type Opened, openStorage } from './open.ts';
import { coreLimits, type ResolvedOptions } from './options.ts';
import { Peers } from './peers.ts';
import { Requests } from './requests.ts';
import { SnapshotWork } from './snapshot-work.ts';
import { NOT_STARTED, raftStatus } from './status.ts';
import { Turns } from './turns.ts';

/** Disks of healthy machines take nearly as long now and then. */
const LEAST_STUCK_MS = 1000;

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
export class RaftDriver implements RaftNode {
  readonly #options: ResolvedOptions;
  readonly #requests = new Requests();
  readonly #turns: Turns;
  readonly #listeners = new Set<(event: RaftEvent) => void>();
  #running: Running | undefined;
  #isEnded = false;
  #failure: Error | undefined;
  #stopping: Promise<void> | undefined;
  /** The batch that was late at the last look at the disk. */
  #lateBatch: number | undefined;
  #told: { readonly role: string; readonly term: number; readonly leader: string | undefined } | undefined;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#turns = new Turns({
      clock: options.env.clock,
      endOfTurn: options.endOfTurn,
      flush: () => this.#pass(),
      tick: () => {
        this.#checkStorage();
        this.#step({ kind: 'tick' });
      },
      nextDeadlineMs: () => (this.#isEnded ? undefined : this.#running?.core.nextDeadlineMs()),
    });
  }

  get core(): RaftCore | undefined {
    return this.#running?.core;
  }

  async start(): Promise<void> {
    if (this.#isEnded) throw shuttingDown();
    if (this.#running !== undefined) return;
    const opened = await openStorage(this.#options);
    if (this.#isEnded) {
      await opened.storage.close();
      throw shuttingDown();
    }
    const running = this.#assemble(opened);
    this.#running = running;
    const { address, log } = this.#options;
    logInitialConfiguration(log, running.core.state.configurations.current);
    logFollower(log, address, '');
    // What was known to be committed before the restart, so that stale reads are served at once.
    while (running.applier.run(running.core));
    running.snapshots.start();
    this.#turns.flush();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  propose(data: Uint8Array): Promise<{ readonly index: LogIndex; readonly result: unknown }> {
    const running = this.#running;
    if (running === undefined || this.#isEnded) return Promise.reject(shuttingDown());
    if (running.core.state.role !== 'leader') return Promise.reject(notLeader());
    const { maxCommandBytes } = this.#options;
    if (data.length > maxCommandBytes) return Promise.reject(tooLarge(data.length, maxCommandBytes));
    this.#turns.schedule();
    return this.#requests.propose(data);
  }

  readBarrier(): Promise<LogIndex> {
    if (this.#running === undefined || this.#isEnded) return Promise.reject(shuttingDown());
    return this.#requests.read((context) => this.#step({ kind: 'read', context }));
  }

  hasLease(): boolean {
    if (this.#running === undefined || this.#isEnded) return false;
    return this.#running.core.hasLease(this.#nowMs());
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
    this.#turns.flush();
    await running.writer.drain();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async changeMembership(change: MembershipChange): Promise<void> {
    if (this.#live().core.state.role !== 'leader') throw notLeader();
    this.#turns.schedule();
    await this.#requests.changeMembership(change);
  }

  async transferLeadership(to?: NodeId): Promise<void> {
    if (this.#live().core.state.role !== 'leader') throw notLeader();
    await this.#requests.transfer(() => this.#step({ kind: 'transfer', to }));
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

  #assemble({ storage, snapshots: store, restored }: Opened): Running {
    const { address, env, id, log, network, plantedBug, stateMachine, timing } = this.#options;
    const random = () => env.random.next();
    const core = new RaftCore(
      { id, timing, limits: coreLimits(this.#options), random, plantedBug },
      restored,
      this.#nowMs(),
    );
    const writer = new LogWriter({
      storage,
      clock: env.clock,
      onPersisted: (sequence) => {
        this.#step({ kind: 'persisted', sequence });
        if (core.state.storage.isStuck) this.#checkStorage();
      },
      onDiskFull: (isFull) => this.#diskFull(isFull),
      onFailure: (error) => this.#fail(error),
    });
    const peers = new Peers({
      id,
      address,
      network,
      env,
      log,
      silenceMs: Math.max(3 * timing.electionMs, 1000),
      peerById: (peer) => core.state.configurations.current.peers.find((known) => known.id === peer),
      onMessage: (from, message) => this.#receive(from, message),
      onSpeakerGone: (from) => void this.#step({ kind: 'stream-closed', id: from }),
      onLost: (peer) => this.#lost(peer),
    });
    const applier = new Applier(stateMachine, this.#requests.pending, restored.snapshot?.index ?? asIndex(0));
    const snapshots = new SnapshotWork({
      options: this.#options,
      core,
      applier,
      storage,
      writer,
      store,
      send: (to, message) => peers.send(to, [message]),
      step: (input) => void this.#step(input),
      isEnded: () => this.#isEnded,
    });
    return { core, storage, writer, peers, applier, snapshots };
  }

  /** Everything that moves the core goes through here: an exception means that an invariant is broken. */
  #step(input: Parameters<RaftCore['step']>[0]): Outcome {
    const running = this.#running;
    if (running === undefined || this.#isEnded)
      return { kind: 'refused', reason: 'not-leader', text: 'raft is already shutdown' };
    try {
      const outcome = running.core.step(input, this.#nowMs());
      // What a sync or the clock brings has waited enough; what others send is joined by the rest of this turn.
      if (input.kind === 'persisted' || input.kind === 'tick') this.#turns.flush();
      else this.#turns.schedule();
      return outcome;
    } catch (error) {
      this.#fail(error);
      return { kind: 'refused', reason: 'invalid', text: 'raft has failed' };
    }
  }

  /** The end of a turn: everything that came up in it becomes one write, one message batch a peer, one run. */
  #pass(): void {
    const running = this.#running;
    if (running === undefined || this.#isEnded) return;
    try {
      this.#requests.submit(running.core, this.#nowMs());
      this.#carryOut(running, running.core.ready(this.#nowMs()));
    } catch (error) {
      this.#fail(error);
    }
  }

  #carryOut(running: Running, ready: Ready): void {
    if (ready.write !== undefined) running.writer.write(ready.write);
    this.#send(running, ready.messages);
    for (const notice of ready.notices) this.#tell(running, notice);
    this.#announceLeadership(running);
    if (ready.installSnapshot !== undefined) void running.snapshots.install(ready.installSnapshot);
    if (running.applier.run(running.core)) this.#turns.schedule();
    this.#requests.serveReads(running.applier.appliedIndex);
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
      if (message.kind === 'append' && message.entries.length > 0)
        this.#options.replication?.sent(to, message.entries.length);
      const batch = byPeer.get(to);
      if (batch === undefined) byPeer.set(to, [message]);
      else batch.push(message);
    }
    running.peers.sendAll(byPeer);
  }

  #receive(from: NodeId, message: WireMessage): void {
    if (message.kind === 'snapshot-chunk') this.#running?.snapshots.chunkArrived(from, message);
    else if (message.kind === 'snapshot-chunk-reply') this.#running?.snapshots.replyArrived(from, message);
    else {
      this.#observeAnswer(from, message);
      this.#step({ kind: 'message', from, message: message satisfies Message });
    }
  }

  #observeAnswer(from: NodeId, message: Message): void {
    const { replication } = this.#options;
    const isAnswer = message.kind === 'append-reply' || message.kind === 'heartbeat-reply';
    // Round 0 marks what answers no leader's message; the stamp is of our own clock.
    if (replication === undefined || !isAnswer || message.stamp.round === 0) return;
    const elapsedMs = Math.max(0, this.#nowMs() - message.stamp.sentAtMs);
    replication.answered(message.kind === 'append-reply' ? 'append' : 'heartbeat', from, elapsedMs);
  }

  #lost(peer: NodeId): void {
    this.#running?.snapshots.peerLost(peer);
    this.#step({ kind: 'unreachable', id: peer });
  }

  #diskFull(isFull: boolean): void {
    const { log } = this.#options;
    if (isFull) log.error('disk is full: nothing more is logged or acknowledged until there is room');
    else log.info('disk has room again');
    this.#checkStorage();
  }

  #checkStorage(): void {
    const running = this.#running;
    if (running === undefined) return;
    const isStuck = running.writer.isFull || this.#isWriteStuck(running.writer);
    if (isStuck !== running.core.state.storage.isStuck) this.#step({ kind: 'storage', isStuck });
  }

  /**
   * Whether a write has not returned for so long that it may never. Nobody waits for this disk meanwhile as long as a
   * quorum of others works, so there is time to be sure: when it was this process that stood still, the write may have
   * returned unnoticed, which the next look tells.
   */
  #isWriteStuck(writer: LogWriter): boolean {
    const isLate = writer.behindMs() >= Math.max(2 * this.#options.timing.electionMs, LEAST_STUCK_MS);
    const isLateStill = isLate && this.#lateBatch === writer.batch;
    this.#lateBatch = isLate ? writer.batch : undefined;
    return isLateStill;
  }

  #tell(running: Running, notice: Notice): void {
    logNotice(this.#options.log, notice, this.#options.address, (id) => this.#addressOf(running, id));
    switch (notice.kind) {
      case 'reads-confirmed':
        this.#requests.readsConfirmed(notice.index, notice.contexts);
        return;
      case 'reads-failed':
        this.#requests.readsFailed(notice.contexts);
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
        this.#requests.transferAborted();
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
    if (state.role !== 'leader') {
      this.#requests.leadershipEnded(state.commitIndex);
      running.snapshots.leadershipEnded();
    }
    const { role, term, leader } = this.status();
    if (before !== undefined || role !== 'follower' || leader !== undefined)
      this.#emit({ kind: 'leadership', role, term, leader });
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined || this.#isEnded) {
      this.#end(shuttingDown());
      return;
    }
    this.#turns.flush();
    this.#end(shuttingDown());
    await running.writer.close();
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

  /** Nothing goes in or out from here on. */
  #end(error: Error): void {
    this.#isEnded = true;
    this.#turns.end();
    this.#running?.snapshots.end();
    this.#running?.peers.close();
    this.#requests.end(error);
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
