/** `info`: the agent's own statistics, by section. */

import { clientCommand } from '../client-command.ts';
import { messageOf } from '../flag-access.ts';

interface Self {
  readonly Stats: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export const infoCommand = clientCommand({
  synopsis: 'Provides debugging information for operators.',
  usage: 'Usage: consul info [options]\n\n  Provides debugging information for operators.',
  flags: [],
  takesServerFlags: false,
  async run(client, _flags, io) {
    let self: Self;
    try {
      self = await client.json<Self>({ method: 'GET', path: '/v1/agent/self' });
    } catch (error) {
      io.err(`Error querying agent: ${messageOf(error)}\n`);
      return 1;
    }
    for (const [section, rows] of sorted(self.Stats)) {
      io.out(`${section}:\n`);
      for (const [key, value] of sorted(rows)) io.out(`\t${key} = ${value}\n`);
    }
    return 0;
  },
});

function sorted<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
