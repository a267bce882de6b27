/** `kv put`: writes one value, with flags, a cas index or a session lock. */

import type { ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { clientCommand } from '../../client-command.ts';
import type { CliIo } from '../../command.ts';
import { decodeBase64Start, readDataArgument } from '../../data-argument.ts';
import { boolFlag, messageOf, textFlag } from '../../flag-access.ts';
import { uint64Flag } from '../../uint64-flag.ts';
import { writeEntry } from './entries.ts';

export const putCommand = clientCommand({
  synopsis: 'Sets or updates data in the KV store',
  usage:
    'Usage: consul kv put [options] KEY [DATA]\n\n  Writes the data to the given path in the key-value store. DATA is literal, @file, or - for standard input.',
  flags: [
    { name: 'acquire', kind: 'bool', usage: 'Obtain a lock on the key; requires -session.' },
    { name: 'base64', kind: 'bool', usage: 'Treat the data as base64 encoded.' },
    { name: 'cas', kind: 'bool', usage: 'Perform a check-and-set; requires -modify-index.' },
    { name: 'flags', kind: 'uint', usage: 'Unsigned integer value to assign to this KV pair.' },
    { name: 'modify-index', kind: 'uint', usage: 'Unsigned integer ModifyIndex of the key, for -cas.' },
    { name: 'release', kind: 'bool', usage: 'Forfeit the lock on the key; requires -session.' },
    { name: 'session', kind: 'string', usage: 'Session for -acquire and -release.' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const problem = argumentProblem(flags);
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    const [key = '', data = ''] = flags.rest;
    let value: Uint8Array;
    try {
      value = await readDataArgument(data, io);
    } catch (error) {
      io.err(`Error! ${messageOf(error)}\n`);
      return 1;
    }
    if (boolFlag(flags, 'base64')) {
      const { bytes, problem } = decodeBase64Start(Buffer.from(value).toString());
      // As in Consul: what could be decoded is written all the same, and the exit code tells of the write alone.
      if (problem !== undefined) io.err(`Error! Cannot base 64 decode data: ${problem}\n`);
      value = bytes;
    }
    return write(client, flags, io, key, value);
  },
});

function argumentProblem(flags: ParsedFlags): string | undefined {
  const { rest } = flags;
  if (rest.length === 0 || rest[0] === '') return 'Error! Missing KEY argument';
  if (rest.length > 2) return `Error! Too many arguments (expected 1 or 2, got ${rest.length})`;
  if (boolFlag(flags, 'cas') && !flags.values.has('modify-index'))
    return 'Must specify -modify-index with -cas!';
  const needsSession = boolFlag(flags, 'acquire') || boolFlag(flags, 'release');
  if (needsSession && textFlag(flags, 'session') === '') {
    return 'Error! Missing -session (required with -acquire and -release)';
  }
  return undefined;
}

async function write(
  client: ApiClient,
  flags: ParsedFlags,
  io: CliIo,
  key: string,
  value: Uint8Array,
): Promise<number> {
  const mode = boolFlag(flags, 'cas')
    ? 'cas'
    : boolFlag(flags, 'acquire')
      ? 'acquire'
      : boolFlag(flags, 'release')
        ? 'release'
        : 'plain';
  const session = textFlag(flags, 'session');
  const query = {
    cas: mode === 'cas' ? String(uint64Flag(flags, 'modify-index')) : undefined,
    acquire: mode === 'acquire' ? session : undefined,
    release: mode === 'release' ? session : undefined,
  };
  let isWritten: boolean;
  try {
    isWritten = await writeEntry(client, { key, value, flags: uint64Flag(flags, 'flags'), query });
  } catch (error) {
    if (mode === 'cas') io.err(`Error! Did not write to ${key}: ${messageOf(error)}\n`);
    else io.err(`Error! Failed writing data: ${mode === 'release' ? key : messageOf(error)}\n`);
    return 1;
  }
  const [done, lost] = OUTCOME[mode];
  if (isWritten) io.out(`${done}${key}\n`);
  else io.err(`${lost(key)}\n`);
  return isWritten ? 0 : 1;
}

const OUTCOME = {
  plain: ['Success! Data written to: ', (key: string) => `Error! Did not write to ${key}`],
  cas: ['Success! Data written to: ', (key: string) => `Error! Did not write to ${key}: CAS failed`],
  acquire: ['Success! Lock acquired on: ', () => 'Error! Did not acquire lock'],
  release: ['Success! Lock released on: ', () => 'Error! Did not release lock'],
} as const;
