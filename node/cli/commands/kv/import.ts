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
  /** Base64. */
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
    let json: string;
    try {
      json = Buffer.from(await readDataArgument(flags.rest[0] ?? '', io)).toString();
    } catch (error) {
      io.err(`Error! ${messageOf(error)}\n`);
      return 1;
    }
    let entries: ExportedEntry[];
    try {
      entries = parseEntries(json);
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

/** @throws Error in the words of Go's decoder */
function parseEntries(json: string): ExportedEntry[] {
  parseJsonText(json);
  const parsed = parseUint64Json(json);
  if (parsed === null) return [];
  if (!Array.isArray(parsed)) throw unsuited(parsed, 'value of type []*impexp.Entry');
  return parsed.map((item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      throw unsuited(item, 'value of type impexp.Entry');
    return entryOf(item);
  });
}

/** As in Go, names fit in any case, other fields are dropped, and what is missing or null is empty. */
function entryOf(fields: object): ExportedEntry {
  const entry = { key: '', flags: 0 as Uint64, value: '' };
  for (const [name, value] of Object.entries(fields)) {
    const field = name.toLowerCase();
    if (value === null) continue;
    if (field === 'key' || field === 'value') {
      if (typeof value !== 'string') throw unsuited(value, `struct field Entry.${field} of type string`);
      entry[field] = value;
    } else if (field === 'flags') {
      if (!isUint64(value)) throw unsuited(value, 'struct field Entry.flags of type uint64');
      entry.flags = value;
    }
  }
  return entry;
}

function isUint64(value: unknown): value is Uint64 {
  if (typeof value === 'bigint') return value >= 0n && value < 1n << 64n;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function unsuited(value: unknown, goType: string): Error {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  // A number of the right kind that does not fit is named with its digits.
  const digits = isNumber && goType.endsWith('uint64') ? ` ${value}` : '';
  const kind = isNumber
    ? `number${digits}`
    : Array.isArray(value)
      ? 'array'
      : typeof value === 'boolean'
        ? 'bool'
        : typeof value;
  return new Error(`json: cannot unmarshal ${kind} into Go ${goType}`);
}
