/** How HTTP, DNS and the agent reach the servers, whether they are in this process or across the network. */

import type { ReadEndpoint, WriteEndpoint } from './endpoint.ts';

export type Consistency = 'default' | 'stale' | 'consistent';

export interface CallOptions {
  /** '' means the agent's own. */
  readonly datacenter: string;
  /** ACL token secret; '' means anonymous. */
  readonly token: string;
  readonly signal?: AbortSignal | undefined;
  /** Of a write that may be sent more than once and must be applied at most once; see `shared/request-id.ts`. */
  readonly requestId?: string | undefined;
}

export interface ReadOptions extends CallOptions {
  readonly consistency: Consistency;
  /** With 'stale': ask the leader when the answering server's last contact is older. undefined: no bound. */
  readonly maxStaleMs?: number | undefined;
  /** Blocks while the result's index is not greater. 0 or undefined: answer at once. */
  readonly minIndex?: number | undefined;
  /** Longest wait when blocking, already defaulted and capped, jitter not included; ≥ 0. */
  readonly waitMs?: number | undefined;
}

export interface ReadMeta {
  /** ≥ 1. */
  readonly index: number;
  readonly knownLeader: boolean;
  /** Milliseconds since the answering server heard from the leader; 0 on the leader. */
  readonly lastContactMs: number;
}

export interface ReadReply<Result> {
  readonly meta: ReadMeta;
  /** Shared with other callers: never mutate. The same reference comes back while nothing changed. */
  readonly value: Result;
}

export interface JsonReply {
  readonly meta: ReadMeta;
  /** The value as JSON text in UTF-8, by Consul's output rules (reference: JSON output rules). Never mutate. */
  readonly body: Uint8Array;
  /** The value is null, `[]` or `{}`. */
  readonly isEmpty: boolean;
}

/** Failures are `ConsulError`s. A failed write tells by `applied` whether it may be tried again. */
export interface Backend {
  read<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions,
  ): Promise<ReadReply<Result>>;

  /** As `read`, but the answer is the rendered text, shared by all who ask the same. */
  readJson<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions & { readonly pretty: boolean },
  ): Promise<JsonReply>;

  /**
   * Answers a stale-allowed read of the own datacenter at once from memory, where there is any: servers that have
   * seen a leader, clients for what is asked for often. undefined: use `read`.
   */
  readLocal<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): ReadReply<Result> | undefined;

  write<Args, Result>(
    endpoint: WriteEndpoint<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result>;
}
