/** What must hold in every cluster at every step, whatever fails: Raft's properties, checked from outside. */

import type { RaftCore } from '../../node/raft/core/core.ts';
import type { LogEntry } from '../../node/raft/core/entry.ts';
import { coreOf } from '../../node/raft/raft-node.ts';
import type { Applied } from '../../node/raft/testing/recorder.ts';
import type { RaftNode } from '../../node/raft/types.ts';

/** A property does not hold; `message` says which and where. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** One server over all its lives. */
export interface ObservedServer {
  readonly peer: { readonly id: string };
  /** Differs from life to life. */
  readonly life: number;
  /** Undefined while it is down. */
  readonly node: RaftNode | undefined;
}

interface Seen {
  readonly life: number;
  readonly baseIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly commitIndex: number;
  readonly isLeader: boolean;
}

/** Knows every entry that ever was, what of it was committed, and what clients were told. */
export class Invariants {
  /** term → who led in it. */
  readonly #leaders = new Map<number, string>();
  /** `index/term` → content and term of the entry before: equal for all logs, which is log matching by induction. */
  readonly #entries = new Map<string, string>();
  /** index → term and content, once any server took it for committed. */
  readonly #committed = new Map<number, { readonly term: number; readonly content: string }>();
  readonly #applied = new Map<number, string>();
  readonly #acknowledged = new Map<number, string>();
  readonly #seen = new Map<ObservedServer, Seen>();
  #highestCommitted = 0;
  #highestAcknowledged = 0;

  get committedCount(): number {
    return this.#committed.size;
  }

  get highestAcknowledged(): number {
    return this.#highestAcknowledged;
  }

  get termCount(): number {
    return this.#leaders.size;
  }

  /** A client was told that its command is applied at `index`. */
  acknowledged(index: number, command: string): void {
    const before = this.#acknowledged.get(index);
    if (before !== undefined) throw new Violation(`two clients were told index ${index}`);
    this.#acknowledged.set(index, command);
    this.#highestAcknowledged = Math.max(this.#highestAcknowledged, index);
    if (this.#applied.get(index) !== command)
      throw new Violation(
        `acknowledged "${command}" at ${index}, but applied was "${this.#applied.get(index)}"`,
      );
  }

  /**
   * State-machine safety: no two servers apply different commands at one index.
   *
   * @param previous the index that this state machine stood at before
   */
  applied(server: ObservedServer, { index, command }: Applied, previous: number): void {
    const before = this.#applied.get(index);
    if (before !== undefined && before !== command)
      throw new Violation(
        `state-machine safety: ${server.peer.id} applied "${command}" at ${index}, not "${before}"`,
      );
    this.#applied.set(index, command);
    if (previous >= index) throw new Violation(`${server.peer.id} applied ${index} after ${previous}`);
  }

  /** A confirmed read must see all that was acknowledged before it was asked. */
  readConfirmed(server: ObservedServer, index: number, acknowledgedBefore: number): void {
    if (index < acknowledgedBefore)
      throw new Violation(
        `linearizable read: ${server.peer.id} answered at ${index}, although ${acknowledgedBefore} was acknowledged before`,
      );
  }

  /** Looks at every server that changed since the last call. */
  check(servers: readonly ObservedServer[]): void {
    let holders = 0;
    for (const server of servers) {
      const core = server.node === undefined ? undefined : coreOf(server.node);
      if (core === undefined) continue;
      this.#checkServer(server, core);
      if (server.node?.hasLease() === true) {
        holders++;
        if (core.state.commitIndex < this.#highestAcknowledged)
          throw new Violation(
            `lease: ${server.peer.id} holds one at ${core.state.commitIndex}, although ${this.#highestAcknowledged} was acknowledged`,
          );
      }
    }
    if (holders > 1) throw new Violation('lease: two servers hold one');
  }

  /** Durability: what was acknowledged is in the state machine of a server that is up to date. */
  checkDurability(server: ObservedServer, applied: readonly Applied[]): void {
    const journal = new Map(applied.map(({ index, command }) => [index as number, command]));
    for (const [index, command] of this.#acknowledged)
      if (journal.get(index) !== command)
        throw new Violation(`durability: ${server.peer.id} has lost "${command}", acknowledged at ${index}`);
  }

  #checkServer(server: ObservedServer, core: RaftCore): void {
    const { log, commitIndex, role, term } = core.state;
    const before = this.#seen.get(server);
    const isLeader = role === 'leader';
    const isSameLife = before?.life === server.life;
    const isUnchanged =
      isSameLife &&
      before.lastIndex === log.lastIndex &&
      before.lastTerm === log.lastTerm &&
      before.commitIndex === commitIndex &&
      before.isLeader === isLeader;
    if (isUnchanged) return;
    if (isSameLife && commitIndex < before.commitIndex)
      throw new Violation(
        `${server.peer.id} took its commit index back from ${before.commitIndex} to ${commitIndex}`,
      );
    this.#checkEntries(server, core);
    this.#checkCommits(server, core, isSameLife ? before.commitIndex : log.baseIndex);
    if (isLeader && !(isSameLife && before.isLeader)) this.#checkLeader(server, core);
    if (isLeader && this.#leaders.get(term) !== server.peer.id) this.#checkLeader(server, core);
    this.#seen.set(server, {
      life: server.life,
      baseIndex: log.baseIndex,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      commitIndex,
      isLeader,
    });
  }

  /** Log matching. Walks back from the end until an entry that was looked at before. */
  #checkEntries(server: ObservedServer, core: RaftCore): void {
    const { log } = core.state;
    for (let index: number = log.lastIndex; index > log.baseIndex; index--) {
      const entry = log.entryAt(index);
      if (entry === undefined) break;
      const key = `${index}/${entry.term}`;
      const value = `${log.termAt(index - 1)} ${contentOf(entry)}`;
      const known = this.#entries.get(key);
      if (known === undefined) {
        this.#entries.set(key, value);
        continue;
      }
      if (known !== value)
        throw new Violation(
          `log matching: ${server.peer.id} has "${value}" at ${key}, another had "${known}"`,
        );
      break;
    }
  }

  #checkCommits(server: ObservedServer, core: RaftCore, from: number): void {
    const { log, commitIndex } = core.state;
    for (let index = Math.max(from, log.baseIndex) + 1; index <= commitIndex; index++) {
      const entry = log.entryAt(index);
      if (entry === undefined)
        throw new Violation(`${server.peer.id} committed ${index}, which it does not hold`);
      const content = contentOf(entry);
      const known = this.#committed.get(index);
      if (known === undefined) this.#committed.set(index, { term: entry.term, content });
      else if (known.term !== entry.term || known.content !== content)
        throw new Violation(
          `state-machine safety: ${server.peer.id} committed "${content}" of term ${entry.term} at ${index}, ` +
            `another "${known.content}" of term ${known.term}`,
        );
    }
    this.#highestCommitted = Math.max(this.#highestCommitted, commitIndex);
  }

  /** Election safety and leader completeness. */
  #checkLeader(server: ObservedServer, core: RaftCore): void {
    const { term, log } = core.state;
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== server.peer.id)
      throw new Violation(`election safety: ${known} and ${server.peer.id} both lead in term ${term}`);
    this.#leaders.set(term, server.peer.id);
    for (let index = log.baseIndex + 1; index <= this.#highestCommitted; index++) {
      const committed = this.#committed.get(index);
      // What a later leader committed, one of an earlier term that does not know it yet need not have.
      if (committed === undefined || committed.term >= term) continue;
      if (log.termAt(index) !== committed.term)
        throw new Violation(
          `leader completeness: ${server.peer.id} leads in term ${term} without entry ${index} of term ${committed.term}`,
        );
    }
  }
}

function contentOf(entry: LogEntry): string {
  return `${entry.kind} ${Buffer.from(entry.data).toString('latin1')}`;
}
