#!/usr/bin/env node
/** Process entry of `proconsul`: runs the command that the arguments name. */

import { realEnv } from '../shared/env.ts';
import type { CliIo } from './cli/command.ts';
import { dispatch } from './cli/command.ts';
import { rootCommand } from './cli/root.ts';

const args = process.argv.slice(2);

/**
 * From the first look at it on, signals interrupt the command instead of ending the process. Commands that never look,
 * such as a plain request to an agent that hangs, end at once.
 */
const interrupted = once((): AbortSignal => {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort(signal));
  return interruption.signal;
});

const io: CliIo = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  async readStdin() {
    const chunks: Uint8Array[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
    return Buffer.concat(chunks);
  },
  isErrTerminal: process.stderr.isTTY === true,
  env: process.env,
  clock: realEnv.clock,
  get interrupted() {
    return interrupted();
  },
};

// A reader that goes away, such as `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// Node would open a debugger for everybody on this machine. What agents do with this signal is theirs to say.
process.on('SIGUSR1', () => undefined);

process.exitCode = await dispatch(rootCommand, args, io);
// Whatever still holds the event loop open must not keep a command alive that is done; what is written must get out.
if (args[0] === 'agent') realEnv.clock.setTimer(200, () => process.exit());
process.stdout.write('', () => process.stderr.write('', () => process.exit()));

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
