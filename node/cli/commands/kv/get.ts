/** `kv get`: one value, a subtree, or key names. */

import type { KvEntry } from '../../../../shared/types/v1.ts';
import { clientCommand } from '../../client-command.ts';
import type { CliIo } from '../../command.ts';
import { boolFlag, messageOf, textFlag } from '../../flag-access.ts';
import { readEntries, readKeys, withoutLeadingSlash } from './entries.ts';

export const getCommand = clientCommand({
  synopsis: 'Retrieves or lists data from the KV store',
  usage:
    'Usage: consul kv get [options] [KEY_OR_PREFIX]\n\n  Retrieves the value from the key-value store at the given key name.',
  flags: [
    { name: 'base64', kind: 'bool', usage: 'Base64 encode the value.' },
    { name: 'detailed', kind: 'bool', usage: 'Provide additional metadata about the key.' },
    { name: 'keys', kind: 'bool', usage: 'List only the keys under the prefix.' },
    { name: 'recurse', kind: 'bool', usage: 'Retrieve all entries under the prefix.' },
    { name: 'separator', kind: 'string', usage: 'Separator between path segments for -keys. Default "/".' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    if (flags.rest.length > 1) {
      io.err(`Too many arguments (expected 1, got ${flags.rest.length})\n`);
      return 1;
    }
    const key = withoutLeadingSlash(flags.rest[0] ?? '');
    const isKeys = boolFlag(flags, 'keys');
    const isRecurse = boolFlag(flags, 'recurse');
    if (key === '' && !isKeys && !isRecurse) {
      io.err('Error! Missing KEY argument\n');
      return 1;
    }
    const style: EntryStyle = { base64: boolFlag(flags, 'base64'), detailed: boolFlag(flags, 'detailed') };
    try {
      if (isKeys) {
        for (const name of await readKeys(client, key, textFlag(flags, 'separator', '/')))
          io.out(`${name}\n`);
        return 0;
      }
      const entries = await readEntries(client, key, isRecurse);
      if (isRecurse) {
        printList(entries ?? [], style, io);
        return 0;
      }
      return printOne(entries?.[0], key, style, io);
    } catch (error) {
      io.err(`Error querying Consul agent: ${messageOf(error)}\n`);
      return 1;
    }
  },
});

interface EntryStyle {
  readonly base64: boolean;
  readonly detailed: boolean;
}

function printOne(entry: KvEntry | undefined, key: string, style: EntryStyle, io: CliIo): number {
  if (entry === undefined) {
    io.err(`Error! No key exists at: ${key}\n`);
    return 1;
  }
  if (style.detailed) printDetailed(entry, style, io);
  else printValue(entry, style, io);
  return 0;
}

function printList(entries: readonly KvEntry[], style: EntryStyle, io: CliIo): void {
  entries.forEach((entry, i) => {
    if (style.detailed) {
      if (i > 0) io.out('\n');
      printDetailed(entry, style, io);
    } else {
      io.out(`${entry.Key}:`);
      printValue(entry, style, io);
    }
  });
}

function printDetailed(entry: KvEntry, style: EntryStyle, io: CliIo): void {
  const rows: [string, string][] = [
    ['CreateIndex', String(entry.CreateIndex)],
    ['Flags', String(entry.Flags)],
    ['Key', entry.Key],
    ['LockIndex', String(entry.LockIndex)],
    ['ModifyIndex', String(entry.ModifyIndex)],
    ['Session', entry.Session ?? '-'],
    ['Value', ''],
  ];
  io.out(rows.map(([name, value]) => `${name.padEnd(17)}${value}`).join('\n'));
  printValue(entry, style, io);
}

/** Values are bytes: what is no text must come out as it went in. */
function printValue(entry: KvEntry, style: EntryStyle, io: CliIo): void {
  const base64 = entry.Value ?? '';
  io.out(style.base64 ? base64 : Buffer.from(base64, 'base64'));
  io.out('\n');
}
