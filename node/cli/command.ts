/** What a subcommand is, and how a tree of them is dispatched with Consul's usage texts and exit codes. */

import { parseDurationNs } from '../../shared/durations.ts';
import type { Clock } from '../../shared/env.ts';
import { FlagError, type FlagSpec, HelpRequested, type ParsedFlags, parseFlags } from '../config/flags.ts';
import { childOf } from './child-command.ts';
import { completeLine } from './completion/complete-line.ts';
import { installCompletion, uninstallCompletion } from './completion/shell-files.ts';
import { commandHelp, flagList, groupHelp, rootHelp } from './help.ts';

/** Everything a command may touch outside itself. */
export interface CliIo {
  /** Writes text, or bytes as they are, to standard output. Line ends are the caller's. */
  readonly out: (text: string | Uint8Array) => void;
  /** Writes text to standard error. Line ends are the caller's. */
  readonly err: (text: string) => void;
  /** Standard error is read by a person. */
  readonly isErrTerminal?: boolean;
  /** All of standard input. */
  readonly readStdin: () => Promise<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /**
   * Aborted by SIGINT or SIGTERM, with the signal's name as the reason. Only long-running commands look at it: signals
   * end the others at once.
   */
  readonly interrupted: AbortSignal;
}

export interface Command {
  readonly kind: 'command';
  /** One line for the list of commands. */
  readonly synopsis: string;
  /** First block of the help, from `Usage: ` on; flags are listed after it. */
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  /** Those of `flags` that say how to reach the agent; the help lists them apart. */
  readonly clientFlags?: readonly FlagSpec[];
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
const MISPLACED_FLAGS =
  'Invalid flags before the subcommand. If these flags are for\nthe subcommand, please put them after the subcommand.\n\n';

/** Runs what the words name. @returns the exit code */
export async function dispatch(root: CommandGroup, args: readonly string[], io: CliIo): Promise<number> {
  const line = io.env.COMP_LINE;
  if (line !== undefined) {
    for (const candidate of completeLine(root, line, Number(io.env.COMP_POINT ?? line.length))) {
      io.out(`${candidate}\n`);
    }
    return 0;
  }
  const [first = ''] = args;
  if (/^--?autocomplete-install$/.test(first)) return installCompletion(io);
  if (/^--?autocomplete-uninstall$/.test(first)) return uninstallCompletion(io);
  const words = ['-v', '-version', '--version'].includes(first) ? ['version', ...args.slice(1)] : args;
  if (words.slice(0, endOfFlags(words)).some(isHelpWord)) return showHelp(root, words, io);
  const at = words.findIndex((word) => !word.startsWith('-'));
  const entry = childOf(root, words[at] ?? '');
  if (entry === undefined) {
    io.err(rootHelp(root));
    return EXIT_UNKNOWN_COMMAND;
  }
  if (at > 0) {
    io.err(`${MISPLACED_FLAGS}${entry.kind === 'group' ? groupHelp(entry) : commandHelp(entry)}`);
    return 1;
  }
  return runEntry(entry, words.slice(1), io);
}

/** Help that is asked for anywhere before `--`: that of the command or group which the words lead to. */
function showHelp(root: CommandGroup, words: readonly string[], io: CliIo): number {
  const names = words.slice(0, endOfFlags(words)).filter((word) => !word.startsWith('-'));
  let entry: Command | CommandGroup = root;
  for (const name of names) {
    const child: Command | CommandGroup | undefined =
      entry.kind === 'group' ? childOf(entry, name) : undefined;
    if (child === undefined) break;
    entry = child;
  }
  if (entry === root && names.length > 0) {
    io.err(rootHelp(root));
    return EXIT_UNKNOWN_COMMAND;
  }
  if (entry.kind === 'command') io.out(commandHelp(entry));
  else io.out(entry === root ? rootHelp(root) : groupHelp(entry));
  return 0;
}

function endOfFlags(words: readonly string[]): number {
  const dashes = words.indexOf('--');
  return dashes < 0 ? words.length : dashes;
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
      io.err(`${error.message}\n${flagList(entry.flags)}`);
      return 1;
    }
    throw error;
  }
  return entry.run(flags, io);
}

function runGroup(group: CommandGroup, args: readonly string[], io: CliIo): Promise<number> | number {
  const [first = '', ...rest] = args;
  const entry = childOf(group, first);
  if (entry !== undefined) return runEntry(entry, rest, io);
  io.err(groupHelp(group));
  return 1;
}

function isHelpWord(word: string): boolean {
  return word === '-h' || word === '-help' || word === '--help';
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
