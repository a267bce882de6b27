#!/usr/bin/env node
/** Process entry of `proconsul`: runs the command that the arguments name. */

import { realEnv } from '../shared/env.ts';
import type { CliIo } from './cli/command.ts';
import { dispatch } from './cli/command.ts';
import { rootCommand } from './cli/root.ts';

const interruption = new AbortController();

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
  interrupted: interruption.signal,
};

const args = process.argv.slice(2);
if (args[0] !== 'agent') {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort(signal));
}
// A reader that goes away, such as `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await dispatch(rootCommand, args, io);
if (args[0] === 'agent') {
  // Whatever still holds the event loop open must not keep a stopped agent alive; what is written must get out.
  realEnv.clock.setTimer(200, () => process.exit());
  process.stdout.write('', () => process.exit());
}
