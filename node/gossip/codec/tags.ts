/** Member tags inside the node meta: a marker byte and a map, or in the old form a bare role. */

import { MAX_META_BYTES } from './message-type.ts';
import { forEachField, MsgpackReader, tryDecode } from './msgpack-reader.ts';
import { encodeWith } from './msgpack-writer.ts';

const TAGS_MARKER = 0xff;

export type Tags = Readonly<Record<string, string>>;

/** @throws Error when the tags take more than 512 bytes */
export function encodeTags(tags: Tags): Uint8Array {
  const names = Object.keys(tags).sort();
  const meta = encodeWith((out) => {
    out.byte(TAGS_MARKER);
    out.map(names.length);
    for (const name of names) {
      out.string(name);
      out.string(tags[name] ?? '');
    }
  });
  if (meta.length > MAX_META_BYTES)
    throw new Error(`Encoded length of tags exceeds limit of ${MAX_META_BYTES} bytes`);
  return meta;
}

/** Never fails: a malformed map reads as no tags, as peers do. */
export function decodeTags(meta: Uint8Array): Tags {
  if (meta[0] !== TAGS_MARKER) return { role: Buffer.from(meta).toString('utf8') };
  const tags = tryDecode(() => {
    const reader = new MsgpackReader(meta, 1);
    // No prototype, so that a tag named like an object method stays a tag.
    const read: Record<string, string> = Object.create(null);
    forEachField(reader, (name) => {
      read[name] = reader.string();
    });
    return { ...read };
  });
  return tags ?? {};
}
