/** A Raft node that does what a test says: its status is a plain object, its calls are recorded. */

import type {
  LogIndex,
  MembershipChange,
  NodeId,
  RaftEvent,
  RaftNode,
  RaftPeer,
  RaftStatus,
  Term,
} from '../../raft/types.ts';

export class FakeRaft implements RaftNode {
  peers: RaftPeer[] = [];
  leader: RaftStatus['leader'];
  lastContactMs: number | undefined;
  lastLogIndex = 0;
  appliedIndex = 1;
  progress = new Map<NodeId, { matchIndex: LogIndex; lastContactMs: number }>();
  lease = true;
  readonly calls: string[] = [];
  readonly #listeners = new Set<(event: RaftEvent) => void>();

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  /** What `propose` and `readBarrier` throw next, in order; then they succeed. */
  readonly failures: Error[] = [];

  async propose(data: Uint8Array): Promise<{ index: LogIndex; result: unknown }> {
    this.calls.push(`propose ${Buffer.from(data).toString()}`);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    return { index: 1 as LogIndex, result: true };
  }

  async readBarrier(): Promise<LogIndex> {
    this.calls.push('barrier');
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    return 1 as LogIndex;
  }

  hasLease(): boolean {
    return this.lease;
  }

  hasState(): boolean {
    return this.peers.length > 0;
  }

  async bootstrap(peers: readonly RaftPeer[]): Promise<void> {
    this.calls.push(`bootstrap ${peers.map(({ id, address }) => `${id}@${address}`).join(' ')}`);
    this.peers = [...peers];
  }

  async changeMembership(change: MembershipChange): Promise<void> {
    if (change.kind === 'remove') {
      this.calls.push(`remove ${change.id}`);
      this.peers = this.peers.filter(({ id }) => id !== change.id);
      return;
    }
    const { id, address, isVoter } = change.peer;
    this.calls.push(`add ${id}@${address} ${isVoter ? 'voter' : 'learner'}`);
    this.peers = [...this.peers.filter((peer) => peer.id !== id), change.peer];
  }

  async transferLeadership(): Promise<void> {}

  async takeSnapshot(): Promise<{ index: LogIndex; term: Term }> {
    return { index: 1 as LogIndex, term: 1 as Term };
  }

  status(): RaftStatus {
    return {
      role: 'leader',
      term: 1 as Term,
      leader: this.leader,
      lastLogIndex: this.lastLogIndex as LogIndex,
      lastLogTerm: 1 as Term,
      commitIndex: 0 as LogIndex,
      appliedIndex: this.appliedIndex as LogIndex,
      lastSnapshotIndex: 0 as LogIndex,
      lastSnapshotTerm: 0 as Term,
      fsmPending: 0,
      peers: this.peers,
      configurationIndex: 1 as LogIndex,
      lastContactMs: this.lastContactMs,
      progress: this.progress,
    };
  }

  subscribe(listener: (event: RaftEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
