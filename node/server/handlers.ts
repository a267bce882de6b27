/** How a server answers the endpoints: the seam between state and everything around it (forwarding, blocking, rendering). */

import type { Env } from '../../shared/env.ts';
import type { ReadEndpoint, WriteEndpoint } from '../rpc/endpoint.ts';
import type { Store } from '../state/store.ts';
import type { QueryResult } from '../state/types.ts';

/** Facts about this server that a handler may need and the state does not hold. */
export interface HandlerContext {
  readonly env: Env;
  readonly datacenter: string;
  readonly nodeName: string;
  /** Milliseconds, default 10 s. */
  readonly sessionTtlMinMs: number;
}

export interface ReadHandler<Args, Result> {
  readonly endpoint: ReadEndpoint<Args, Result>;
  /** A pure function of state and arguments. @throws ConsulError */
  query(store: Store, args: Args, context: HandlerContext): QueryResult<Result>;
}

/** A log command before encoding: `type` selects what `StateMachine.apply` does. Plain data, no bigint beyond uint64. */
export interface Command {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface WriteHandler<Args, Result> {
  readonly endpoint: WriteEndpoint<Args, Result>;
  /**
   * Runs on the leader: validates, chooses identifiers and times, and says what to log.
   * @throws ConsulError when refused before anything is logged
   */
  command(store: Store, args: Args, context: HandlerContext): Command;
  /**
   * The result when the arguments and the state already decide it, so that nothing need be logged.
   * Runs on the leader, before `command`.
   */
  settled?(store: Store, args: Args, context: HandlerContext): Result | undefined;
  /** Turns what `apply` returned for the command into the caller's result. @throws ConsulError for a refusal */
  result(applied: unknown): Result;
}

/** A handler whose argument and result types are not known: for tables by name. */
export interface AnyReadHandler extends Omit<ReadHandler<never, unknown>, 'endpoint'> {
  readonly endpoint: { readonly kind: 'read'; readonly name: string };
}

export interface AnyWriteHandler extends Omit<WriteHandler<never, unknown>, 'endpoint'> {
  readonly endpoint: { readonly kind: 'write'; readonly name: string };
}
