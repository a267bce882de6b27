/** A command whose code is loaded when it runs: the agent is far larger than everything else together. */

import type { Command } from './command.ts';

/** @param load must give a command with the same flags */
export function lazyCommand(
  description: Pick<Command, 'synopsis' | 'usage' | 'flags'>,
  load: () => Promise<Command>,
): Command {
  return {
    kind: 'command',
    ...description,
    run: async (flags, io) => (await load()).run(flags, io),
  };
}
