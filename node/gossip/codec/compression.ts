/** The compress message: LZW bytes wrapped in a map. */

import { lzwCompress, lzwDecompress } from './lzw.ts';
import { MessageType } from './message-type.ts';
import { bytesField, expectType, uintField } from './messages.ts';
import { DecodeError, forEachField, tryDecode } from './msgpack-reader.ts';
import { encodeWith } from './msgpack-writer.ts';

const ALGORITHM_LZW = 0;

export function compressMessage(message: Uint8Array): Uint8Array {
  const compressed = lzwCompress(message);
  return encodeWith((out) => {
    out.byte(MessageType.compress);
    out.map(2);
    uintField(out, 'Algo', ALGORITHM_LZW);
    bytesField(out, 'Buf', compressed);
  });
}

/** The message inside; undefined when malformed or larger than `maxBytes`. */
export function decompressMessage(bytes: Uint8Array, maxBytes: number): Uint8Array | undefined {
  return tryDecode(() => {
    const reader = expectType(bytes, MessageType.compress);
    let algorithm = -1;
    let content: Uint8Array | undefined;
    forEachField(reader, (key) => {
      if (key === 'Algo') algorithm = reader.uint(255);
      else if (key === 'Buf') content = reader.bytes();
      else reader.skip();
    });
    // A missing algorithm reads as zero, which is the only one there is.
    if (algorithm > ALGORITHM_LZW || content === undefined) throw new DecodeError('unknown compression');
    return lzwDecompress(content, maxBytes);
  });
}
