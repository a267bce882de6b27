/** Servers that agree on a log: the real state machine on each, leaders that come and go, followers that lag. */

import type { LogIndex, StateMachine, Term } from '../../node/raft/types.ts';
import { encodeCommand } from '../../node/server/commands.ts';
import { createStateMachine } from '../../node/server/fsm.ts';
import type { Command } from '../../node/server/handlers.ts';
import type { Store } from '../../node/state/store.ts';
import { createStore } from '../../node/state/store.ts';
import { type Env, randomInt } from '../../shared/env.ts';
import { ConsulError, noClusterLeader } from '../../shared/errors.ts';

const FIRST_INDEX = 10;
const MAX_COMMIT_MS = 10;
const MAX_LAG_MS = 200;

export interface Replica {
  readonly store: Store;
  readonly machine: StateMachine;
  applied: number;
}

interface Entry {
  readonly data: Uint8Array;
  readonly term: number;
  readonly settle: (result: unknown) => void;
  readonly fail: (error: ConsulError) => void;
}

/**
 * Invariants: `committed` only grows; a replica has applied a prefix of it; the leader has applied all of it; entries
 * of a term are committed in the order in which they were proposed.
 */
export class ReplicatedLog {
  readonly replicas: readonly Replica[];
  /** Index into `replicas`. */
  leader: number | undefined;
  term = 0;
  readonly #committed: Uint8Array[] = [];
  #pending: Entry[] = [];
  readonly #env: Env;
  readonly #onCommit: (store: Store) => void;

  /** @param onCommit called with the leader's state after every command */
  constructor(servers: number, env: Env, onCommit: (store: Store) => void) {
    this.#env = env;
    this.#onCommit = onCommit;
    this.replicas = Array.from({ length: servers }, () => {
      const store = createStore();
      return { store, machine: createStateMachine(store), applied: 0 };
    });
  }

  /** Rejects with what a deposed leader's caller gets to see. */
  propose(command: Command, term: number): Promise<unknown> {
    if (this.leader === undefined || term !== this.term) return Promise.reject(noClusterLeader());
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const entry = { data: encodeCommand(command), term, settle: resolve, fail: reject };
    this.#pending.push(entry);
    const { clock, random } = this.#env;
    clock.setTimer(1 + random.next() * MAX_COMMIT_MS, () => this.#commitUpTo(entry));
    return promise;
  }

  /** Nobody leads. What was under way is lost, or not; nobody can know. */
  depose(): void {
    this.leader = undefined;
    const kept = randomInt(this.#env.random, this.#pending.length + 1);
    const lost = new ConsulError('outcome-unknown', 500, 'leadership lost while committing log');
    for (const entry of this.#pending) entry.fail(lost);
    this.#pending = this.#pending.slice(0, kept);
  }

  elect(server: number): void {
    this.term++;
    this.leader = server;
    this.#applyTo(server, this.#committed.length);
    for (const { data } of this.#pending.splice(0)) this.#commit(data);
  }

  #commitUpTo(last: Entry): void {
    if (last.term !== this.term || this.leader === undefined || !this.#pending.includes(last)) return;
    for (;;) {
      const entry = this.#pending.shift();
      if (entry === undefined) return;
      entry.settle(this.#commit(entry.data));
      if (entry === last) return;
    }
  }

  #commit(data: Uint8Array): unknown {
    const leader = this.leader;
    if (leader === undefined) throw new Error('nobody leads');
    this.#committed.push(data);
    const result = this.#applyTo(leader, this.#committed.length);
    const upTo = this.#committed.length;
    const { clock, random } = this.#env;
    for (let at = 0; at < this.replicas.length; at++)
      if (at !== leader) clock.setTimer(random.next() * MAX_LAG_MS, () => this.#applyTo(at, upTo));
    this.#onCommit(this.#replica(leader).store);
    return result;
  }

  #applyTo(server: number, upTo: number): unknown {
    const replica = this.#replica(server);
    let result: unknown;
    while (replica.applied < upTo) {
      const data = this.#committed[replica.applied] as Uint8Array;
      const index = (FIRST_INDEX + replica.applied) as LogIndex;
      result = replica.machine.apply(data, index, 1 as Term);
      replica.machine.applied(index);
      replica.applied++;
    }
    return result;
  }

  #replica(server: number): Replica {
    const replica = this.replicas[server];
    if (replica === undefined) throw new Error(`no server ${server}`);
    return replica;
  }
}
