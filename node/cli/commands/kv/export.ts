/** `kv export`: a subtree as JSON, for `kv import`. */

import { clientCommand } from '../../client-command.ts';
import { messageOf } from '../../flag-access.ts';
import { readEntries, withoutLeadingSlash } from './entries.ts';

export const exportCommand = clientCommand({
  synopsis: 'Exports a tree from the KV store as JSON',
  usage:
    'Usage: consul kv export [KEY_OR_PREFIX]\n\n  Retrieves key-value pairs under the given prefix as JSON.',
  flags: [],
  takesServerFlags: true,
  async run(client, flags, io) {
    if (flags.rest.length > 1) {
      io.err(`Too many arguments (expected 1, got ${flags.rest.length})\n`);
      return 1;
    }
    try {
      const entries = (await readEntries(client, withoutLeadingSlash(flags.rest[0] ?? ''), true)) ?? [];
      const items = entries.map(
        (entry) =>
          `\t{\n\t\t"key": ${JSON.stringify(entry.Key)},\n\t\t"flags": ${entry.Flags},\n\t\t"value": ${JSON.stringify(entry.Value ?? '')}\n\t}`,
      );
      io.out(items.length === 0 ? '[]\n' : `[\n${items.join(',\n')}\n]\n`);
      return 0;
    } catch (error) {
      io.err(`Error querying Consul agent: ${messageOf(error)}\n`);
      return 1;
    }
  },
});
