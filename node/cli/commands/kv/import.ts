/** `kv import`: writes what `kv export` printed. */

import type { Uint64 } from '../../../../shared/types/v1.ts';
import { parseUint64Json } from '../../../../shared/uint64-json.ts';
import { parseJsonText } from '../../../config/json-text.ts';
import { clientCommand } from '../../client-command.ts';
import { decodeBase64, readDataArgument } from '../../data-argument.ts';
import { messageOf } from '../../flag-access.ts';
import { writeEntry } from './entries.ts';

interface ExportedEntry {
  readonly key: string;
  readonly flags: Uint64;
  readonly value: string;
}

export const importCommand = clientCommand({
  synopsis: 'Imports a tree stored as JSON to the KV store',
  usage:
    'Usage: consul kv import [DATA]\n\n  Imports key-value pairs from the JSON that `kv export` prints. DATA is literal, @file, or - for standard input.',
  flags: [],
  takesServerFlags: true,
  async run(client, flags, io) {
    if (flags.rest.length !== 1) {
      const isMissing = flags.rest.length === 0;
      io.err(
        isMissing
          ? 'Error! Missing DATA argument\n'
          : `Error! Too many arguments (expected 1, got ${flags.rest.length})\n`,
      );
      return 1;
    }
    let text: string;
    try {
      text = Buffer.from(await readDataArgument(flags.rest[0] ?? '', io)).toString();
    } catch (error) {
      io.err(`Error! ${messageOf(error)}\n`);
      return 1;
    }
    let entries: ExportedEntry[];
    try {
      entries = parseEntries(text);
    } catch (error) {
      io.err(`Cannot unmarshal data: ${messageOf(error)}\n`);
      return 1;
    }
    for (const entry of entries) {
      let value: Uint8Array;
      try {
        value = decodeBase64(entry.value);
      } catch (error) {
        io.err(`Error base 64 decoding value for key ${entry.key}: ${messageOf(error)}\n`);
        return 1;
      }
      try {
        await writeEntry(client, { key: entry.key, value, flags: entry.flags, query: {} });
      } catch (error) {
        io.err(`Error! Failed writing data for key ${entry.key}: ${messageOf(error)}\n`);
        return 1;
      }
      io.out(`Imported: ${entry.key}\n`);
    }
    return 0;
  },
});

function parseEntries(text: string): ExportedEntry[] {
  parseJsonText(text);
  const parsed = parseUint64Json(text);
  if (!Array.isArray(parsed))
    throw new Error('json: cannot unmarshal into Go value of type []kv.kvExportEntry');
  return parsed.map((item: unknown) => {
    const { key, flags, value } = (
      typeof item === 'object' && item !== null ? item : {}
    ) as Partial<ExportedEntry>;
    if (typeof key !== 'string') throw new Error('every entry needs a key');
    return { key, flags: flags ?? 0, value: typeof value === 'string' ? value : '' };
  });
}
