/** `kv delete`: one key, or all under a prefix. */

import { clientCommand, encodePath } from '../../client-command.ts';
import { boolFlag, messageOf } from '../../flag-access.ts';
import { uint64Flag } from '../../uint64-flag.ts';
import { withoutLeadingSlash } from './entries.ts';

export const deleteCommand = clientCommand({
  synopsis: 'Removes data from the KV store',
  usage:
    'Usage: consul kv delete [options] KEY_OR_PREFIX\n\n  Removes the value from the key-value store at the given path.',
  flags: [
    { name: 'cas', kind: 'bool', usage: 'Perform a check-and-set delete; requires -modify-index.' },
    { name: 'modify-index', kind: 'uint', usage: 'Unsigned integer ModifyIndex of the key, for -cas.' },
    { name: 'recurse', kind: 'bool', usage: 'Delete all keys under the prefix.' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const isRecurse = boolFlag(flags, 'recurse');
    const isCas = boolFlag(flags, 'cas');
    const hasIndex = flags.values.has('modify-index');
    const key = withoutLeadingSlash(flags.rest[0] ?? '');
    const index = uint64Flag(flags, 'modify-index');
    const problem =
      flags.rest.length > 1
        ? `Too many arguments (expected 1, got ${flags.rest.length})`
        : key === '' && !isRecurse
          ? 'Error! Missing KEY argument'
          : isCas && isRecurse
            ? 'Cannot specify both -cas and -recurse!'
            : isCas && !hasIndex
              ? 'Must specify -modify-index with -cas!'
              : hasIndex && !isCas
                ? 'Cannot specify -modify-index without -cas!'
                : undefined;
    if (problem !== undefined) {
      io.err(`${problem}\n`);
      return 1;
    }
    const query = isRecurse ? { recurse: '' } : isCas ? { cas: String(index) } : {};
    try {
      const response = await client.expectOk({ method: 'DELETE', path: `/v1/kv/${encodePath(key)}`, query });
      if (isCas && !response.body.toString().includes('true')) {
        io.err(`Error! Did not delete key ${key}: CAS failed\n`);
        return 1;
      }
    } catch (error) {
      const text = messageOf(error);
      if (isRecurse) io.err(`Error! Did not delete prefix ${key}: ${text}\n`);
      else if (isCas) io.err(`Error! Did not delete key ${key}: ${text}\n`);
      else io.err(`Error deleting key ${key}: ${text}\n`);
      return 1;
    }
    io.out(isRecurse ? `Success! Deleted keys with prefix: ${key}\n` : `Success! Deleted key: ${key}\n`);
    return 0;
  },
});
