/** What may come next on a command line: names of commands, or of flags. */

import { childOf } from '../child-command.ts';
import type { Command, CommandGroup } from '../command.ts';

/**
 * @param line  the whole command line, the program's name first (bash's `COMP_LINE`)
 * @param point offset of the cursor; what follows it is ignored (bash's `COMP_POINT`)
 * @returns candidates that begin with the unfinished word, sorted; none where a file name or a value is wanted
 */
export function completeLine(root: CommandGroup, line: string, point: number): string[] {
  const words = line.slice(0, point).split(/\s+/);
  const unfinished = words.pop() ?? '';
  const entry = entryOf(
    root,
    words.slice(1).filter((word) => word !== ''),
  );
  if (entry === undefined) return [];
  const names = unfinished.startsWith('-') ? flagNames(entry) : commandNames(entry);
  return names.filter((name) => name.startsWith(unfinished)).sort();
}

/** The command or group that the finished words lead to; undefined for an unknown one. */
function entryOf(root: CommandGroup, words: readonly string[]): Command | CommandGroup | undefined {
  let entry: Command | CommandGroup | undefined = root;
  for (const word of words) {
    if (entry === undefined || entry.kind === 'command') return entry;
    entry = childOf(entry, word);
  }
  return entry;
}

function commandNames(entry: Command | CommandGroup): string[] {
  return entry.kind === 'group' ? Object.keys(entry.commands) : [];
}

function flagNames(entry: Command | CommandGroup): string[] {
  return entry.kind === 'command' ? [...entry.flags.map((flag) => `-${flag.name}`), '-help'] : ['-help'];
}
