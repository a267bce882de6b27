/**
 * Deliberate faults in the product, to show that the checks would notice them. Each but Raft's own three is an edit of
 * the source that is made while it is loaded, in a process of the simulator: the product holds no trace of it.
 */

import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import type { PlantedBug } from '../../node/raft/core/options.ts';

export interface Edit {
  /** From the root of the project. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Bug {
  readonly name: string;
  readonly what: string;
  /** Where it is looked for: in whole clusters, or in Raft alone, which makes many more histories in the same time. */
  readonly simulator: 'world' | 'raft';
  /** What the violation begins with that must be found. */
  readonly caughtBy: RegExp;
  /** How many seeds, from 1 on, it takes at most. */
  readonly within: number;
  /** Too rare for the tests; `npm run sim -- --bugs` has it. */
  readonly isSlow?: boolean;
  readonly edits: readonly Edit[];
  /** One of the faults that Raft itself has a switch for. */
  readonly raft?: PlantedBug;
}

const RAFT_SAFETY =
  /election safety|leader completeness|state-machine safety|log matching|linearizability|state:/;

export const BUGS: readonly Bug[] = [
  {
    name: 'vote-not-persisted',
    simulator: 'raft',
    what: 'a vote is not written before it is given, and forgotten by a restart',
    caughtBy: RAFT_SAFETY,
    within: 10,
    edits: [],
    raft: 'vote-not-persisted',
  },
  {
    name: 'commit-of-old-term',
    simulator: 'raft',
    what: 'a leader counts replicas of an entry of an earlier term as a commit',
    caughtBy: RAFT_SAFETY,
    within: 100,
    edits: [],
    raft: 'commit-of-old-term',
  },
  {
    name: 'acknowledge-before-sync',
    simulator: 'raft',
    what: 'a follower confirms entries that are not on its disk yet',
    caughtBy: /election safety|leader completeness|state-machine safety|log matching|durability|liveness/,
    within: 50,
    edits: [],
    raft: 'acknowledge-before-sync',
  },
  {
    name: 'lease-without-clock-bound',
    simulator: 'world',
    what: 'the lease of a leader lasts longer than the time for which followers keep their votes back',
    caughtBy: /lease|linearizability/,
    within: 30,
    edits: [
      {
        file: 'node/raft/core/core.ts',
        find: 'quorumContactMs(state, leadership) + state.options.timing.leaseMs',
        replace: 'quorumContactMs(state, leadership) + 20 * state.options.timing.leaseMs',
      },
    ],
  },
  {
    name: 'lost-truncate',
    simulator: 'raft',
    what: 'entries that another leader has overwritten come back after a restart',
    caughtBy: /./,
    within: 30,
    edits: [
      {
        file: 'node/raft/wal/replay.ts',
        find: 'Math.max(0, Math.min(this.#entries.length, first.index - start))',
        replace: 'this.#entries.length; if (first.index - start < this.#entries.length) return',
      },
    ],
  },
  {
    name: 'snapshot-without-membership',
    simulator: 'raft',
    what: 'a snapshot does not say who is in the cluster',
    caughtBy:
      /liveness|election safety|leader completeness|state-machine safety|log matching|has failed|cannot start/,
    within: 5,
    edits: [
      {
        file: 'node/raft/driver/snapshot-taker.ts',
        find: 'peers: configuration.peers,',
        replace: 'peers: [],',
      },
    ],
  },
  {
    name: 'read-before-first-commit',
    simulator: 'raft',
    what: 'a new leader answers reads before it has committed an entry of its own term',
    caughtBy: /linearizable read/,
    within: 50,
    edits: [
      {
        file: 'node/raft/core/read-index.ts',
        find: 'leadership.waitingReads.length === 0 || !hasCommittedInTerm(state)',
        replace: 'leadership.waitingReads.length === 0',
      },
    ],
  },
  {
    name: 'double-apply-after-restart',
    simulator: 'raft',
    what: 'after a restart the log is applied again to the state of the snapshot, from its beginning',
    caughtBy: /applied \d+ after|state:|linearizability|has failed/,
    within: 5,
    edits: [
      {
        file: 'node/raft/driver/open.ts',
        find: 'stateMachine.applied(snapshot.meta.index);',
        replace:
          'stateMachine.applied(snapshot.meta.index); for (const entry of stored.entries) if (entry.kind === "command" && entry.index <= snapshot.meta.index) options_applyAgain(stateMachine, entry);',
      },
      {
        file: 'node/raft/driver/open.ts',
        find: 'async function restoreNewest(',
        replace:
          'function options_applyAgain(machine: StateMachine, entry: StoredLog["entries"][number]): void { machine.apply(entry.data, entry.index, entry.term); }\nasync function restoreNewest(',
      },
    ],
  },
  {
    name: 'watch-fired-before-apply',
    simulator: 'world',
    what: 'watchers are woken before the change is there to be seen',
    caughtBy: /watch/,
    within: 10,
    edits: [
      {
        file: 'node/raft/driver/applier.ts',
        find: 'for (const entry of entries) this.#apply(entry);\n    this.#stateMachine.applied(this.#appliedIndex);',
        replace:
          'this.#stateMachine.applied(this.#appliedIndex);\n    for (const entry of entries) this.#apply(entry);',
      },
    ],
  },
  {
    name: 'answers-not-refreshed',
    simulator: 'world',
    what: 'a kept answer is given although the state has changed',
    caughtBy: /linearizability|watch|liveness/,
    within: 5,
    edits: [
      {
        file: 'node/server/state-access.ts',
        find: 'engine.stateChanged();\n      return inner.apply',
        replace: 'return inner.apply',
      },
    ],
  },
  {
    name: 'retry-of-sent-write',
    simulator: 'world',
    what: 'an agent sends a write again although the connection broke after it was sent',
    caughtBy: /linearizability/,
    within: 30,
    edits: [
      {
        file: 'node/rpc/rpc-errors.ts',
        find: "return kind === 'read' || error.applied === 'no';",
        replace: 'return true;',
      },
      // Request IDs would hide it: as behind a gateway that gives none.
      {
        file: 'gateway/upstream/retry.ts',
        find: "return takesRequestId(method, path) ? 'once' : 'if-not-applied';",
        replace: "return 'if-not-applied';",
      },
    ],
  },
  {
    name: 'gateway-retry-of-sent-write',
    simulator: 'world',
    what: 'a gateway sends a write to another agent although the first may have carried it out',
    caughtBy: /linearizability/,
    within: 40,
    edits: [
      {
        file: 'gateway/upstream/retry.ts',
        find: "case 'timeout':\n      return isRepeatable ? 'elsewhere' : 'answer';",
        replace: "case 'timeout':\n      return 'elsewhere';",
      },
      // Request IDs would hide it: as behind a gateway that gives none.
      {
        file: 'gateway/upstream/retry.ts',
        find: "return takesRequestId(method, path) ? 'once' : 'if-not-applied';",
        replace: "return 'if-not-applied';",
      },
    ],
  },
  {
    name: 'repeated-write-not-recognised',
    simulator: 'world',
    what: 'a write that comes again under its request ID is applied again',
    caughtBy: /linearizability/,
    within: 40,
    edits: [
      {
        file: 'node/server/once.ts',
        find: "if (memory.kind === 'known') return memory.result;",
        replace: "if (memory.kind === 'known') return apply();",
      },
      {
        file: 'node/server/once.ts',
        find: "if (memory.kind === 'known') return { applied: memory.result };",
        replace: "if (memory.kind === 'known') return undefined;",
      },
    ],
  },
  {
    name: 'unknown-told-as-undone',
    simulator: 'world',
    what: 'an error that leaves the outcome open is told as if nothing had been changed',
    caughtBy: /linearizability/,
    within: 40,
    edits: [
      {
        file: 'node/raft/driver/errors.ts',
        find: "'leadership lost while committing log'",
        replace: "'No cluster leader'",
      },
    ],
  },
  {
    name: 'shared-read-too-old',
    simulator: 'world',
    what: 'a gateway lets a read share the answer of one that was under way before it came',
    caughtBy: /linearizability|watch/,
    within: 100,
    isSlow: true,
    edits: [
      {
        file: 'gateway/collapse/collapse.ts',
        find: 'return await ask(cancel);\n    } finally {',
        replace:
          'const answer = ask(cancel); (flight as { first?: Promise<Answer> }).first = answer; return await answer;\n    } finally {',
      },
      {
        file: 'gateway/collapse/collapse.ts',
        find: 'const batch = flight.next ?? openBatch(ask);',
        replace:
          'const { first } = flight as { first?: Promise<Answer> }; if (first !== undefined) return first; const batch = flight.next ?? openBatch(ask);',
      },
    ],
  },
  {
    name: 'default-read-at-follower',
    simulator: 'world',
    what: 'a server that does not lead answers a default read from its own memory',
    caughtBy: /linearizability|watch/,
    within: 5,
    edits: [
      {
        file: 'node/server/read-path.ts',
        find: "if (call.consistency === 'stale') {",
        replace: 'if (true) {',
      },
    ],
  },
  {
    name: 'session-ends-too-soon',
    simulator: 'world',
    what: 'a session is ended after less than its time without a renewal',
    caughtBy: /lock held twice/,
    within: 20,
    edits: [
      {
        file: 'node/server/session-timers.ts',
        find: 'return TTL_MULTIPLIER * Math.max(ms, ttlMinMs);',
        replace: 'return 0.4 * Math.max(ms, ttlMinMs);',
      },
    ],
  },
  {
    name: 'lock-taken-over',
    simulator: 'world',
    what: 'a lock is given to a session although another holds it',
    caughtBy: /lock held twice/,
    within: 5,
    edits: [
      {
        file: 'node/state/kv.ts',
        find: "if (existing.session !== holder.ID && existing.session !== '') return false;",
        replace: '',
      },
    ],
  },
  {
    name: 'cas-not-compared',
    simulator: 'world',
    what: 'a check-and-set does not check',
    caughtBy: /linearizability/,
    within: 5,
    edits: [
      {
        file: 'node/state/kv.ts',
        find: 'if ((existing?.modifyIndex ?? 0) !== modifyIndex) return false;',
        replace: '',
      },
    ],
  },
  {
    name: 'no-tombstones',
    simulator: 'world',
    what: 'a deletion leaves no trace, so that the index of a prefix goes back',
    caughtBy: /watch/,
    within: 10,
    edits: [
      {
        file: 'node/state/kv.ts',
        find: '    entomb(change, bytes);\n  }\n  return true;',
        replace: '  }\n  return true;',
      },
    ],
  },
  {
    name: 'snapshot-without-lock-counts',
    simulator: 'world',
    what: 'a snapshot does not say how often a lock was taken',
    caughtBy: /state:/,
    within: 10,
    edits: [
      {
        file: 'node/state/kv-rows.ts',
        find: "    lockIndex,\n    session: session === ''",
        replace: "    lockIndex: 0,\n    session: session === ''",
      },
    ],
  },
];

/** @throws Error when there is no such bug */
export function bugNamed(name: string): Bug {
  const bug = BUGS.find((each) => each.name === name);
  if (bug === undefined)
    throw new Error(`no bug ${name}; there are ${BUGS.map((each) => each.name).join(', ')}`);
  return bug;
}

const ROOT = new URL('../../', import.meta.url);

/**
 * Plants a bug in all modules that are loaded from now on.
 *
 * @throws Error when the source is not as the bug expects it, so that a bug that has gone stale is noticed
 */
export function plant({ edits, name }: Bug): void {
  for (const { file, find } of edits) {
    const count = readFileSync(new URL(file, ROOT), 'utf8').split(find).length - 1;
    if (count !== 1)
      throw new Error(`planted bug ${name}: ${file} has ${count} places like ${JSON.stringify(find)}`);
  }
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const here = edits.filter(({ file }) => url === new URL(file, ROOT).href);
      if (here.length === 0 || loaded.source === undefined || loaded.source === null) return loaded;
      let source =
        typeof loaded.source === 'string'
          ? loaded.source
          : Buffer.from(loaded.source as Uint8Array).toString();
      for (const { find, replace } of here) source = source.replace(find, () => replace);
      return { ...loaded, source };
    },
  });
}
