/** What a subcommand is, and how a tree of them is dispatched with Consul's usage texts and exit codes. */

import { parseDurationNs } from '../../shared/durations.ts';
import {
  describeFlags,
  FlagError,
  type FlagSpec,
  HelpRequested,
  type ParsedFlags,
  parseFlags,
} from '../config/flags.ts';

/** Everything a command may touch outside itself. */
export interface CliIo {
  /** Writes text to standard output, or error. Line ends are the caller's. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** All of standard input. */
  readonly readStdin: () => Promise<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT or SIGTERM. Only long-running commands look at it. */
  readonly interrupted: AbortSignal;
}

export interface Command {
  readonly kind: 'command';
  /** One line for the list of commands. */
  readonly synopsis: string;
  /** First block of the help, from `Usage: ` on; flags are listed after it. */
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  /** @returns the exit code */
  run(flags: ParsedFlags, io: CliIo): Promise<number>;
}

export interface CommandGroup {
  readonly kind: 'group';
  readonly synopsis: string;
  /** First line of the help, `Usage: consul kv <subcommand> [options] [args]`, and a paragraph. */
  readonly usage: string;
  readonly commands: Readonly<Record<string, Command | CommandGroup>>;
}

/** `consul` with no or an unknown command. */
const EXIT_UNKNOWN_COMMAND = 127;

/** Runs what the words name. @returns the exit code */
export async function dispatch(root: CommandGroup, args: readonly string[], io: CliIo): Promise<number> {
  const [first = ''] = args;
  if (['-h', '-help', '--help'].includes(first)) {
    io.out(`${rootUsage(root)}\n`);
    return 0;
  }
  const words = ['-v', '-version', '--version'].includes(first) ? ['version', ...args.slice(1)] : args;
  const entry = Object.hasOwn(root.commands, words[0] ?? '') ? root.commands[words[0] ?? ''] : undefined;
  if (entry === undefined) {
    io.err(`${rootUsage(root)}\n`);
    return EXIT_UNKNOWN_COMMAND;
  }
  return runEntry(entry, words.slice(1), io);
}

/** The help of one command, as `-h` prints it. */
export function commandHelp(command: Command): string {
  const flags = describeFlags(command.flags);
  return flags === '' ? `${command.usage}\n` : `${command.usage}\n\nCommand Options\n\n${flags}`;
}

async function runEntry(entry: Command | CommandGroup, args: readonly string[], io: CliIo): Promise<number> {
  if (entry.kind === 'group') return runGroup(entry, args, io);
  let flags: ParsedFlags;
  try {
    flags = parseFlags(args, entry.flags, isDuration);
  } catch (error) {
    if (error instanceof HelpRequested) {
      io.out(commandHelp(entry));
      return 0;
    }
    if (error instanceof FlagError) {
      io.err(`${error.message}\n${describeFlags(entry.flags)}`);
      return 1;
    }
    throw error;
  }
  return entry.run(flags, io);
}

function runGroup(group: CommandGroup, args: readonly string[], io: CliIo): Promise<number> | number {
  const [first = '', ...rest] = args;
  const help = `${group.usage}\n\nSubcommands:\n\n${commandList(group)}\n`;
  if (['-h', '-help', '--help'].includes(first)) {
    io.out(help);
    return 0;
  }
  const entry = Object.hasOwn(group.commands, first) ? group.commands[first] : undefined;
  if (entry !== undefined) return runEntry(entry, rest, io);
  io.err(help);
  return 1;
}

function rootUsage(root: CommandGroup): string {
  return `${root.usage}\n\nAvailable commands are:\n${commandList(root)}`;
}

function commandList(group: CommandGroup): string {
  const names = Object.keys(group.commands).sort();
  const width = Math.max(...names.map((name) => name.length));
  return names
    .map((name) => `    ${name.padEnd(width)}    ${group.commands[name]?.synopsis ?? ''}`)
    .join('\n');
}

function isDuration(text: string): boolean {
  try {
    parseDurationNs(text);
    return true;
  } catch {
    // Not a duration is the answer, not a failure.
    return false;
  }
}
