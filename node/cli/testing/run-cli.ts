/** Runs a command line in this process and collects what it writes. */

import { type Clock, realEnv } from '../../../shared/env.ts';
import { type CliIo, dispatch } from '../command.ts';
import { rootCommand } from '../root.ts';

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** Where `CONSUL_HTTP_ADDR` points. A port nobody listens on when absent. */
  readonly address?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly interrupted?: AbortSignal;
  readonly clock?: Clock;
  /** Sees standard output as it grows. */
  readonly onOut?: (text: string) => void;
  /** Gets standard output as bytes at the end. */
  readonly onBytes?: (bytes: Uint8Array) => void;
}

export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  const chunks: Uint8Array[] = [];
  let err = '';
  const io: CliIo = {
    out(text) {
      chunks.push(Buffer.from(text));
      options.onOut?.(Buffer.concat(chunks).toString());
    },
    err(text) {
      err += text;
    },
    readStdin: async () => Buffer.from(options.stdin ?? ''),
    env: {
      PATH: process.env.PATH,
      CONSUL_HTTP_ADDR: options.address ?? '127.0.0.1:1',
      ...options.env,
    },
    clock: options.clock ?? realEnv.clock,
    interrupted: options.interrupted ?? new AbortController().signal,
  };
  const code = await dispatch(rootCommand, args, io);
  const out = Buffer.concat(chunks);
  options.onBytes?.(out);
  return { code, out: out.toString(), err };
}
