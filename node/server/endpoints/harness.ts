/** Drives the endpoints against a state machine of their own, one command after the other. For tests. */

import { ConsulError } from '../../../shared/errors.ts';
import type { SimulatedEnv } from '../../../shared/simulated-env.ts';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import type { LogIndex, StateMachine, Term } from '../../raft/types.ts';
import type { ReadEndpoint, WriteEndpoint } from '../../rpc/endpoint.ts';
import type { Store } from '../../state/store.ts';
import { createStore } from '../../state/store.ts';
import type { QueryResult } from '../../state/types.ts';
import { encodeCommand } from '../commands.ts';
import { createStateMachine } from '../fsm.ts';
import type { Command, HandlerContext, ReadHandler, WriteHandler } from '../handlers.ts';
import { READ_HANDLERS, WRITE_HANDLERS } from './all.ts';

const TERM = 1 as Term;

/** A real log begins with its membership and its first leader's own entry: no command has index 1. */
export const BEFORE_FIRST = 10;

export class Harness {
  readonly env: SimulatedEnv;
  readonly store: Store = createStore();
  readonly machine: StateMachine = createStateMachine(this.store);
  /** Everything that was applied, as bytes: for a second machine. */
  readonly log: Uint8Array[] = [];
  readonly context: HandlerContext;

  constructor(seed = 1) {
    this.env = simulatedEnv(seed);
    this.context = { env: this.env, datacenter: 'dc1', nodeName: 'n1', sessionTtlMinMs: 10_000 };
  }

  get index(): number {
    return BEFORE_FIRST + this.log.length;
  }

  /** @throws ConsulError */
  read<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): QueryResult<Result> {
    const found = READ_HANDLERS.find((handler) => handler.endpoint.name === endpoint.name);
    if (found === undefined) throw new Error(`no handler for ${endpoint.name}`);
    return (found as ReadHandler<Args, Result>).query(this.store, args, this.context);
  }

  value<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): Result {
    return this.read(endpoint, args).value;
  }

  /** @throws ConsulError */
  write<Args, Result>(endpoint: WriteEndpoint<Args, Result>, args: Args): Result {
    const found = WRITE_HANDLERS.find((handler) => handler.endpoint.name === endpoint.name);
    if (found === undefined) throw new Error(`no handler for ${endpoint.name}`);
    const handler = found as WriteHandler<Args, Result>;
    const settled = handler.settled?.(this.store, args, this.context);
    if (settled !== undefined) return settled;
    return handler.result(this.apply(handler.command(this.store, args, this.context)));
  }

  /** As `write`, but what it refuses with is returned. */
  refusal<Args, Result>(endpoint: WriteEndpoint<Args, Result>, args: Args): string | undefined {
    try {
      this.write(endpoint, args);
      return undefined;
    } catch (thrown) {
      if (thrown instanceof ConsulError) return `${thrown.status} ${thrown.message}`;
      throw thrown;
    }
  }

  apply(command: Command): unknown {
    const bytes = encodeCommand(command);
    this.log.push(bytes);
    const applied = this.machine.apply(bytes, this.index as LogIndex, TERM);
    this.machine.applied(this.index as LogIndex);
    return applied;
  }

  /** The whole state as bytes. */
  async snapshot(): Promise<Buffer> {
    const view = this.machine.snapshot();
    const chunks: Uint8Array[] = [];
    for await (const chunk of view.chunks()) chunks.push(Buffer.from(chunk));
    view.release();
    return Buffer.concat(chunks);
  }
}

/** Bytes as a stream, in pieces. */
export async function* streamOf(bytes: Uint8Array, pieceBytes = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}
