/** What all `acl` commands share: output format, and errors turned into one line and exit code 1. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { clientCommand } from '../../client-command.ts';
import type { CliIo, Command } from '../../command.ts';
import { boolFlag, messageOf, textFlag } from '../../flag-access.ts';
import { commandHelp } from '../../help.ts';
import { jsonText, type Printer } from './print.ts';

export const META_FLAG: FlagSpec = {
  name: 'meta',
  kind: 'bool',
  usage: 'Show hash and indexes as well.',
};
export const FORMAT_FLAG: FlagSpec = {
  name: 'format',
  kind: 'string',
  usage: 'Output format: pretty or json. Default pretty.',
};

/** The arguments make no sense; the help follows the message. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface AclCommandSpec {
  readonly synopsis: string;
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  /** @returns what is printed. @throws Error with the whole text to show; UsageError for that and the help */
  readonly act: (client: ApiClient, flags: ParsedFlags, io: CliIo) => Promise<string>;
}

export function aclCommand(spec: AclCommandSpec): Command {
  const command: Command = clientCommand({
    synopsis: spec.synopsis,
    usage: spec.usage,
    flags: spec.flags,
    takesServerFlags: true,
    async run(client, flags, io) {
      const format = textFlag(flags, 'format', 'pretty');
      if (format !== 'pretty' && format !== 'json') {
        io.err(`Unknown format: ${format}\n`);
        return 1;
      }
      try {
        io.out(await spec.act(client, flags, io));
        return 0;
      } catch (error) {
        const help = error instanceof UsageError ? `\n${commandHelp(command)}` : '';
        io.err(`${messageOf(error)}\n${help}`);
        return 1;
      }
    },
  });
  return command;
}

export function shown<T>(object: T, printer: Printer<T>, flags: ParsedFlags): string {
  if (textFlag(flags, 'format') === 'json') return jsonText(object);
  return printer.one(object, boolFlag(flags, 'meta'));
}

export function shownList<T>(objects: readonly T[] | null, printer: Printer<T>, flags: ParsedFlags): string {
  if (textFlag(flags, 'format') === 'json') return jsonText(objects);
  return printer.many(objects ?? [], boolFlag(flags, 'meta'));
}

/** @throws Error whose text begins with `prefix` */
export async function failingAs<T>(prefix: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new Error(`${prefix}: ${messageOf(error)}`);
  }
}
