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
}

export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  let out = '';
  let err = '';
  const io: CliIo = {
    out(text) {
      out += text;
      options.onOut?.(out);
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
  return { code, out, err };
}
