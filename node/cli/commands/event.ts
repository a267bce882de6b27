/** `event`: fires a user event to the agents of a datacenter. */

import { compilePattern } from '../../../shared/filter/pattern.ts';
import type { ParsedFlags } from '../../config/flags.ts';
import { clientCommand, encodePath, reachAgent } from '../client-command.ts';
import { messageOf, optionalTextFlag, textFlag } from '../flag-access.ts';
import { commandHelp } from '../help.ts';

export const eventCommand = clientCommand({
  synopsis: 'Fire a new event',
  usage: `Usage: consul event [options] [payload]

  Dispatches a custom user event across a datacenter. An event must provide
  a name, but a payload is optional. Events support filtering using regular
  expressions on node name, service, and tag definitions.`,
  flags: [
    { name: 'name', kind: 'string', usage: 'Name of the event.' },
    { name: 'node', kind: 'string', usage: 'Regular expression to filter on node names.' },
    { name: 'service', kind: 'string', usage: 'Regular expression to filter on service instances.' },
    {
      name: 'tag',
      kind: 'string',
      usage: 'Regular expression to filter on service tags. Must be used with -service.',
    },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const name = textFlag(flags, 'name');
    if (name === '') {
      io.err(`Event name must be specified\n\n${commandHelp(eventCommand)}`);
      return 1;
    }
    const problem = filterProblem(flags);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    if (flags.rest.length > 1) {
      io.err(`Too many command line arguments.\n\n${commandHelp(eventCommand)}`);
      return 1;
    }
    if ((await reachAgent(client, io)) === undefined) return 1;
    const payload = flags.rest[0] ?? '';
    const query = Object.fromEntries(FILTERS.map((filter) => [filter, optionalTextFlag(flags, filter)]));
    try {
      const { ID } = await client.json<{ ID: string }>({
        method: 'PUT',
        path: `/v1/event/fire/${encodePath(name)}`,
        query,
        ...(payload === '' ? {} : { body: payload }),
      });
      io.out(`Event ID: ${ID}\n`);
      return 0;
    } catch (error) {
      io.err(`Error firing event: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

const FILTERS = ['node', 'service', 'tag'] as const;

function filterProblem(flags: ParsedFlags): string | undefined {
  for (const filter of FILTERS) {
    const pattern = textFlag(flags, filter);
    if (filter === 'tag' && pattern !== '' && textFlag(flags, 'service') === '') {
      return 'Cannot provide tag filter without service filter.';
    }
    try {
      compilePattern(pattern);
    } catch (error) {
      return `Failed to compile ${filter} filter regexp: error parsing regexp: ${messageOf(error)}`;
    }
  }
  return undefined;
}
