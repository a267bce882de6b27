/** Finds a command by name in the tree. */

import type { Command, CommandGroup } from './command.ts';

/** The command or group of that name directly below. */
export function childOf(group: CommandGroup, name: string): Command | CommandGroup | undefined {
  return Object.hasOwn(group.commands, name) ? group.commands[name] : undefined;
}
