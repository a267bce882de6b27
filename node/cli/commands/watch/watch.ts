/** `watch`: shows a view of the data once, or runs a command whenever it changes. */

import { renderJson } from '../../../../shared/json.ts';
import type { ParsedFlags } from '../../../config/flags.ts';
import { startChild } from '../../child-process.ts';
import { clientCommand, reachAgent } from '../../client-command.ts';
import type { CliIo } from '../../command.ts';
import { boolFlag, messageOf, textFlag } from '../../flag-access.ts';
import { commandHelp } from '../../help.ts';
import { type WatchPlan, watchPlan } from './plans.ts';
import { type WatchResult, watchResults } from './results.ts';

export const watchCommand = clientCommand({
  synopsis: 'Watch for changes in Consul',
  usage: `Usage: consul watch [options] [child...]

  Watches for changes in a given data view from Consul. If a child process is
  specified, it will be invoked with the latest results on changes. Otherwise,
  the latest values are dumped to stdout and the watch terminates.

  The child gets the result as JSON on its standard input and the index of
  the change in the environment variable CONSUL_INDEX. The watch ends when a
  child fails.

      $ consul watch -type=key -key=app/config ./reload.sh
      $ consul watch -type=service -service=web -passingonly=true`,
  flags: [
    { name: 'filter', kind: 'string', usage: 'Filter expression to use with the request.' },
    { name: 'key', kind: 'string', usage: 'Key to watch. Only for the type key.' },
    { name: 'name', kind: 'string', usage: 'Name of the event to watch. Only for the type event.' },
    {
      name: 'passingonly',
      kind: 'string',
      usage: 'Whether only passing instances are shown (true or false). Only for the type service.',
    },
    { name: 'prefix', kind: 'string', usage: 'Key prefix to watch. Only for the type keyprefix.' },
    {
      name: 'service',
      kind: 'string',
      usage: 'Service to watch. Required for the type service, optional for the type checks.',
    },
    {
      name: 'shell',
      kind: 'bool',
      usage: 'Use a shell to run the child. The default; -shell=false runs it directly.',
    },
    { name: 'state', kind: 'string', usage: 'State of the checks to watch. Only for the type checks.' },
    {
      name: 'tag',
      kind: 'strings',
      usage: 'Tag of the instances to watch; several must all be there. Only for the type service.',
    },
    {
      name: 'type',
      kind: 'string',
      usage: 'Type to watch: key, keyprefix, services, nodes, service, checks or event.',
    },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const type = textFlag(flags, 'type');
    if (type === '') {
      io.err(`Watch type must be specified\n\n${commandHelp(watchCommand)}`);
      return 1;
    }
    let plan: WatchPlan;
    try {
      plan = watchPlan(type, flags);
    } catch (error) {
      io.err(`${messageOf(error)}\n`);
      return 1;
    }
    if ((await reachAgent(client, io)) === undefined) return 1;
    for await (const result of watchResults(client, plan, io)) {
      if (flags.rest.length === 0) {
        io.out(renderJson(result.value, true));
        return 0;
      }
      if (!(await runHandler(result, flags, io))) return 1;
    }
    return 0;
  },
});

/** @returns whether it succeeded */
async function runHandler(result: WatchResult, flags: ParsedFlags, io: CliIo): Promise<boolean> {
  let failure: string | undefined;
  try {
    const child = await startChild(
      {
        words: flags.rest,
        isShell: !flags.values.has('shell') || boolFlag(flags, 'shell'),
        env: { CONSUL_INDEX: result.index },
        input: { text: `${renderJson(result.value, false)}\n` },
      },
      io,
    );
    const forward = () => child.signal(io.interrupted.reason === 'SIGTERM' ? 'SIGTERM' : 'SIGINT');
    io.interrupted.addEventListener('abort', forward, { once: true });
    failure = await child.ended;
    io.interrupted.removeEventListener('abort', forward);
  } catch (error) {
    io.err(`Error starting handler: ${messageOf(error)}\n`);
    return false;
  }
  // A child that an interrupt ended has not failed.
  if (failure === undefined || io.interrupted.aborted) return true;
  io.err(`Error executing handler: ${failure}\n`);
  return false;
}
