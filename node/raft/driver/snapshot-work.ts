/** Everything a server does with snapshots: takes its own, sends them, receives and installs the leader's. */

import type { Timer } from '../../../shared/env.ts';
import { refused } from '../../../shared/errors.ts';
import type { RaftCore } from '../core/core.ts';
import { asIndex, type SnapshotMeta } from '../core/entry.ts';
import type { Input } from '../core/input.ts';
import type { SnapshotStore, StoredSnapshot } from '../snapshots/snapshot-store.ts';
import type { SnapshotChunk, SnapshotChunkReply, WireMessage } from '../transport/codec.ts';
import type { LogIndex, NodeId, Term } from '../types.ts';
import type { LogStorage } from '../wal/log-storage.ts';
import type { Applier } from './applier.ts';
import { shuttingDown } from './errors.ts';
import type { LogWriter } from './log-writer.ts';
import { type ResolvedOptions, USUAL_THRESHOLD_BYTES } from './options.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { compactionIndex, writeSnapshot } from './snapshot-taker.ts';

export interface SnapshotWorkContext {
  readonly options: ResolvedOptions;
  readonly core: RaftCore;
  readonly applier: Applier;
  readonly storage: LogStorage;
  readonly writer: LogWriter;
  readonly store: SnapshotStore;
  readonly send: (to: NodeId, message: WireMessage) => void;
  readonly step: (input: Input) => void;
  readonly isEnded: () => boolean;
}

/** Bytes of log that stay behind a snapshot at most, however many entries these are. */
const TRAILING_BYTES = 32 * 1024 * 1024;

/** Times `snapshotThresholdBytes`: a longer log is compacted although a peer that is being sent a snapshot needs it. */
const MAX_HELD_BACK = 2;

/** After a snapshot failed, for want of disk as a rule, the next one waits at least so long. */
const RETRY_AFTER_FAILURE_MS = 10_000;

/** Invariant: at most one snapshot of this server's own is being taken, and at most one sent to each peer. */
export class SnapshotWork {
  readonly #context: SnapshotWorkContext;
  readonly #receiver: SnapshotReceiver;
  readonly #senders = new Map<NodeId, SnapshotSender>();
  /** Arrived whole, until the core says what becomes of it. */
  #received: StoredSnapshot | undefined;
  #taking: Promise<SnapshotMeta> | undefined;
  #timer: Timer | undefined;
  #nextTransfer = 1;
  /** Of the newest snapshot that was taken here. */
  #lastBytes = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(context: SnapshotWorkContext) {
    this.#context = context;
    this.#receiver = new SnapshotReceiver({
      store: context.store,
      reply: (to, transfer, offset) => this.#reply(to, transfer, offset),
      onReceived: (from, chunk, snapshot) => this.#arrived(from, chunk.term, snapshot),
      onFailure: (error) => context.options.log.error('failed to receive snapshot', { error: error.message }),
    });
  }

  /** Starts to look at intervals whether a snapshot is due. */
  start(): void {
    const { options, core, applier, isEnded } = this.#context;
    const delayMs = options.snapshotIntervalMs * (1 + options.env.random.next());
    this.#timer = options.env.clock.setTimer(delayMs, () => {
      if (isEnded()) return;
      const since = applier.appliedIndex - (core.state.snapshot?.index ?? 0);
      if (since >= options.snapshotThreshold) this.#takeInBackground();
      this.start();
    });
  }

  /** Stops sending and looking; what is being written goes on until `idle`. */
  end(): void {
    this.#timer?.cancel();
    for (const sender of this.#senders.values()) sender.cancel();
    this.#senders.clear();
  }

  /** Resolves when nothing touches the disk any more. Call after `end`. */
  async idle(): Promise<void> {
    this.#receiver.abort();
    await this.#receiver.idle();
    await this.#taking?.catch(() => {
      // Whoever asked for it was told.
    });
  }

  /** A snapshot of all that is applied: the newest one if nothing was since. */
  async take(): Promise<SnapshotMeta> {
    const { core, applier, isEnded } = this.#context;
    while (this.#taking !== undefined)
      await this.#taking.catch(() => {
        // The one before failed; this one may not.
      });
    if (isEnded()) throw shuttingDown();
    const last = core.state.snapshot;
    if (last !== undefined && last.index >= applier.appliedIndex) return last;
    if (applier.appliedIndex === 0) throw refused('nothing new to snapshot');
    return this.#take();
  }

  /** Takes one at once when the log in memory has grown past its bound and a good part of it could go. */
  considerLogSize(): void {
    const { options, core, applier } = this.#context;
    const { log, snapshot } = core.state;
    if (log.bytes < this.#sizeLimitBytes() || this.#taking !== undefined) return;
    if (options.env.clock.monotonicMs() < this.#notBeforeMs) return;
    const since = applier.appliedIndex - (snapshot?.index ?? 0);
    if (since >= (log.lastIndex - log.baseIndex) / 2) this.#takeInBackground();
  }

  /** A small bound grows with the state, up to the usual one: or a large state would be written again and again. */
  #sizeLimitBytes(): number {
    const { snapshotThresholdBytes } = this.#context.options;
    return Math.max(snapshotThresholdBytes, Math.min(this.#lastBytes, USUAL_THRESHOLD_BYTES));
  }

  /** The core wants the peer to have a snapshot: streams the newest. */
  async send(to: NodeId, term: Term): Promise<void> {
    const { options, core, store, isEnded, step } = this.#context;
    this.#senders.get(to)?.cancel();
    this.#senders.delete(to);
    const [snapshot] = await store.list().catch(() => []);
    if (isEnded()) return;
    if (snapshot === undefined || core.state.role !== 'leader' || core.state.term !== term) {
      step({ kind: 'snapshot-sent', to, ok: false });
      return;
    }
    const transfer = this.#nextTransfer++;
    const release = store.hold(snapshot);
    const sender = new SnapshotSender({
      env: options.env,
      term,
      transfer,
      snapshot,
      readAt: (offset, length, into) => store.readAt(snapshot, offset, length, into),
      send: (chunk) => this.#context.send(to, chunk),
      retryMs: options.timing.electionMs,
      onRelease: release,
      onEnd: (ok) => {
        if (this.#senders.get(to)?.transfer !== transfer) return;
        this.#senders.delete(to);
        step({ kind: 'snapshot-sent', to, ok });
      },
    });
    this.#senders.set(to, sender);
    sender.start();
  }

  peerLost(peer: NodeId): void {
    const sender = this.#senders.get(peer);
    if (sender === undefined) return;
    sender.cancel();
    this.#senders.delete(peer);
    this.#context.step({ kind: 'snapshot-sent', to: peer, ok: false });
  }

  leadershipEnded(): void {
    for (const id of [...this.#senders.keys()]) this.peerLost(id);
  }

  chunkArrived(from: NodeId, chunk: SnapshotChunk): void {
    if (!this.#context.isEnded() && chunk.term >= this.#context.core.state.term)
      this.#receiver.chunk(from, chunk);
  }

  replyArrived(from: NodeId, reply: SnapshotChunkReply): void {
    this.#senders.get(from)?.acknowledged(reply);
  }

  /** Replaces the state by the snapshot that arrived, then starts the log file anew after it. */
  async install(meta: SnapshotMeta): Promise<void> {
    const { options, applier, store, writer, step } = this.#context;
    const received = this.#received;
    this.#received = undefined;
    try {
      if (received?.meta.index !== meta.index) throw new Error('the snapshot is gone');
      await applier.replace(meta.index, store.read(received));
    } catch (error) {
      options.log.error('failed to restore snapshot', { error: textOf(error) });
      step({ kind: 'snapshot-failed' });
      return;
    }
    await writer.writeItem({ kind: 'reset', index: meta.index, term: meta.term });
    options.log.info('Installed remote snapshot');
    step({ kind: 'snapshot-installed', meta });
    this.#compact(meta.index);
  }

  #arrived(from: NodeId, term: Term, snapshot: StoredSnapshot): void {
    this.#received = snapshot;
    const message = { kind: 'install-snapshot', term, meta: snapshot.meta } as const;
    this.#context.step({ kind: 'message', from, message });
  }

  #reply(to: NodeId, transfer: number, offset: number): void {
    if (this.#context.isEnded()) return;
    const { term } = this.#context.core.state;
    this.#context.send(to, { kind: 'snapshot-chunk-reply', term, transfer, offset });
  }

  #takeInBackground(): void {
    if (this.#taking !== undefined) return;
    this.#take().catch((error: unknown) => {
      const { env, log } = this.#context.options;
      this.#notBeforeMs = env.clock.monotonicMs() + RETRY_AFTER_FAILURE_MS;
      log.error('failed to take snapshot', { error: textOf(error) });
    });
  }

  #take(): Promise<SnapshotMeta> {
    const taking = this.#takeAndCompact().finally(() => {
      this.#taking = undefined;
    });
    this.#taking = taking;
    return taking;
  }

  async #takeAndCompact(): Promise<SnapshotMeta> {
    const { options, core, applier, store, step } = this.#context;
    if (applier.isReplacing) throw refused('a snapshot is being restored');
    options.log.info('starting snapshot up to', { index: applier.appliedIndex });
    const { meta, bytes } = await writeSnapshot(core, options.stateMachine, store, applier.appliedIndex);
    this.#lastBytes = bytes;
    const trailingBytes = Math.min(TRAILING_BYTES, options.snapshotThresholdBytes / 2);
    const compactTo = compactionIndex(core.state.log, meta.index, options.trailingLogs, trailingBytes);
    step({ kind: 'snapshot-taken', meta, compactTo: asIndex(Math.min(compactTo, this.#neededFrom())) });
    this.#compact(core.state.log.baseIndex);
    options.log.info('snapshot complete up to', { index: meta.index });
    return meta;
  }

  /**
   * Entries after this one are needed by a peer that is being sent a snapshot: without them it would need the next one
   * as soon as it has this one. Within bounds: a peer that is too slow must not cost the memory of all.
   */
  #neededFrom(): number {
    const { core, options } = this.#context;
    const { leadership, log } = core.state;
    if (leadership === undefined || log.bytes > MAX_HELD_BACK * options.snapshotThresholdBytes)
      return Number.POSITIVE_INFINITY;
    let needed = Number.POSITIVE_INFINITY;
    for (const peer of leadership.progress.values())
      if (peer.state === 'snapshot') needed = Math.min(needed, peer.snapshotIndex);
    return needed;
  }

  #compact(index: LogIndex): void {
    if (this.#context.isEnded()) return;
    this.#context.storage.compact(index).catch((error: unknown) => {
      // What could not be removed is only in the way; the next compaction starts with it again.
      this.#context.options.log.warn('failed to compact logs', { error: textOf(error) });
    });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
