/** The texts that `-h` prints: usage, subcommands, and flags wrapped to the width of a terminal. */

import type { FlagSpec } from '../config/flags.ts';
import type { Command, CommandGroup } from './command.ts';

const LINE_WIDTH = 80;
const FLAG_INDENT = '     ';
const VALUE_NAME = {
  string: 'string',
  int: 'int',
  uint: 'uint',
  duration: 'duration',
  strings: 'value',
  pairs: 'value',
} as const;

/** The help of one command. */
export function commandHelp(command: Command): string {
  const clientFlags = command.clientFlags ?? [];
  const ownFlags = command.flags.filter((flag) => !clientFlags.includes(flag));
  return `${command.usage}\n${section('HTTP API Options', clientFlags)}${section('Command Options', ownFlags)}`;
}

export function groupHelp(group: CommandGroup): string {
  return `${group.usage}\n\nSubcommands:\n\n${commandList(group)}\n`;
}

export function rootHelp(root: CommandGroup): string {
  return `${root.usage}\n\nAvailable commands are:\n${commandList(root)}\n`;
}

/** Flags in order of name, each with its text below it, as printed after an error and in the help. */
export function flagList(flags: readonly FlagSpec[]): string {
  return [...flags]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => {
      // As in Go, a word in backquotes is the name of the value.
      const named =
        /`([^`]+)`/.exec(flag.usage)?.[1] ?? VALUE_NAME[flag.kind === 'bool' ? 'string' : flag.kind];
      const value = flag.kind === 'bool' ? '' : `=<${named}>`;
      return `  -${flag.name}${value}\n${wrapped(flag.usage.replaceAll('`', ''))}\n`;
    })
    .join('\n');
}

function section(title: string, flags: readonly FlagSpec[]): string {
  return flags.length === 0 ? '' : `\n${title}\n\n${flagList(flags)}`;
}

function commandList(group: CommandGroup): string {
  const names = Object.keys(group.commands).sort();
  const width = Math.max(...names.map((name) => name.length));
  return names
    .map((name) => `    ${name.padEnd(width)}    ${group.commands[name]?.synopsis ?? ''}`)
    .join('\n');
}

/** Breaks at blanks; a longer word stands alone on its line. */
function wrapped(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && FLAG_INDENT.length + line.length + 1 + word.length > LINE_WIDTH) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((text) => FLAG_INDENT + text).join('\n');
}
