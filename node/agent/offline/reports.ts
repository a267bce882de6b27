/** What the offline tools report, for those who print it. */

export type { FileReport, Soundness } from '../../raft/inspect-report.ts';
export type { RaftPeer } from '../../raft/types.ts';
export type { RecoveryOutcome, WantedPeers } from './raft-recovery.ts';
export type { StorageCheck } from './storage-check.ts';
