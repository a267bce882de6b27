/** Membership: who is in the cluster, who votes, and how it changes one server at a time. */

import type { LogIndex, MembershipChange, NodeId, RaftPeer } from '../types.ts';
import { asIndex, asNodeId } from './entry.ts';

/** The membership that the entry at `index` put in force. */
export interface Configuration {
  readonly index: LogIndex;
  readonly peers: readonly RaftPeer[];
}

/** More servers than any sane cluster has; keeps a damaged entry from growing memory. */
const MAX_PEERS = 1024;
const FORMAT_VERSION = 1;

/** JSON `{"Version":1,"Servers":[{"ID","Address","Voter"}]}`. */
export function encodePeers(peers: readonly RaftPeer[]): Uint8Array {
  const Servers = peers.map((peer) => ({ ID: peer.id, Address: peer.address, Voter: peer.isVoter }));
  return new TextEncoder().encode(JSON.stringify({ Version: FORMAT_VERSION, Servers }));
}

/** @throws Error when the bytes are not what `encodePeers` writes */
export function decodePeers(bytes: Uint8Array): readonly RaftPeer[] {
  const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  if (!isRecord(value) || value.Version !== FORMAT_VERSION || !Array.isArray(value.Servers))
    throw new Error('unknown configuration format');
  if (value.Servers.length > MAX_PEERS) throw new Error('configuration has too many servers');
  return value.Servers.map((server: unknown) => {
    if (
      !isRecord(server) ||
      typeof server.ID !== 'string' ||
      typeof server.Address !== 'string' ||
      typeof server.Voter !== 'boolean'
    )
      throw new Error('malformed server in configuration');
    return { id: asNodeId(server.ID), address: server.Address, isVoter: server.Voter };
  });
}

export const findPeer = (peers: readonly RaftPeer[], id: NodeId): RaftPeer | undefined =>
  peers.find((peer) => peer.id === id);

export const isVoterIn = (peers: readonly RaftPeer[], id: NodeId): boolean =>
  findPeer(peers, id)?.isVoter === true;

export function voterIds(peers: readonly RaftPeer[]): readonly NodeId[] {
  return peers.filter((peer) => peer.isVoter).map((peer) => peer.id);
}

/** Votes needed for a decision among `voters` servers. */
export const quorumOf = (voters: number): number => Math.floor(voters / 2) + 1;

/**
 * The highest value that a quorum of the voters has reached.
 *
 * @param reachedBy what each voter has reached, such as its match index
 * @returns −Infinity when there is no voter
 */
export function quorumValue(peers: readonly RaftPeer[], reachedBy: (id: NodeId) => number): number {
  const values: number[] = [];
  for (const peer of peers) if (peer.isVoter) values.push(reachedBy(peer.id));
  values.sort((a, b) => b - a);
  return values[quorumOf(values.length) - 1] ?? Number.NEGATIVE_INFINITY;
}

/**
 * The membership after one change. Since at most one voter comes or goes, any quorum before and any quorum
 * after it share a server (Ongaro's thesis, §4.1).
 *
 * @returns the peers, or the text that says why not
 */
export function changedPeers(
  peers: readonly RaftPeer[],
  change: MembershipChange,
): readonly RaftPeer[] | string {
  const next = change.kind === 'add' ? withPeer(peers, change.peer) : withoutPeer(peers, change.id);
  if (typeof next === 'string') return next;
  if (!next.some((peer) => peer.isVoter)) return 'need at least one voter in configuration';
  return next;
}

function withPeer(peers: readonly RaftPeer[], added: RaftPeer): readonly RaftPeer[] | string {
  if (added.id === '') return 'empty server ID in configuration';
  if (added.address === '') return 'empty server address in configuration';
  if (peers.some((peer) => peer.id !== added.id && peer.address === added.address))
    return `found duplicate address in configuration: ${added.address}`;
  if (findPeer(peers, added.id) === undefined) {
    if (peers.length >= MAX_PEERS) return 'configuration has too many servers';
    return [...peers, added];
  }
  return peers.map((peer) => (peer.id === added.id ? added : peer));
}

function withoutPeer(peers: readonly RaftPeer[], id: NodeId): readonly RaftPeer[] | string {
  if (findPeer(peers, id) === undefined) return `id "${id}" was not found in the Raft configuration`;
  return peers.filter((peer) => peer.id !== id);
}

/**
 * The configurations that the log holds.
 *
 * A configuration is in force from the moment it is appended, so that cutting the log brings the one before
 * back. Invariant: `#known` is never empty, ascends by index, and its first one is never cut away: it stems from
 * a snapshot, from a recovery by an operator, or is the empty one of a new server.
 */
export class ConfigurationHistory {
  #known: Configuration[];

  constructor(base: Configuration = { index: asIndex(0), peers: [] }) {
    this.#known = [base];
  }

  get current(): Configuration {
    return this.#known[this.#known.length - 1] as Configuration;
  }

  append(configuration: Configuration): void {
    this.#known.push(configuration);
  }

  /** Forgets what entries from `index` on had put in force. */
  truncateFrom(index: LogIndex): void {
    while (this.#known.length > 1 && this.current.index >= index) this.#known.pop();
    const base = this.#known[0] as Configuration;
    if (base.index >= index) this.#known[0] = { index: asIndex(index - 1), peers: base.peers };
  }

  /** Forgets all that is older than the one in force at `index`. */
  compactTo(index: LogIndex): void {
    while (this.#known.length > 1 && (this.#known[1] as Configuration).index <= index) this.#known.shift();
  }

  /** The one in force at `index`. */
  at(index: LogIndex): Configuration {
    return this.#known.findLast((known) => known.index <= index) ?? (this.#known[0] as Configuration);
  }

  /** Starts over from a snapshot or an operator's recovery. */
  reset(base: Configuration): void {
    this.#known = [base];
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
