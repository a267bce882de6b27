/** Cuts a byte stream into the payloads of checked frames. */

import { FormatError } from '../bytes.ts';
import { checkPayload, MAX_WIRE_FRAME_BYTES, WIRE_HEADER_BYTES } from './codec.ts';

/** Invariant: `#held` is the sum of the lengths of `#chunks`, never more than one frame and one read. */
export class FrameReader {
  #chunks: Uint8Array[] = [];
  #held = 0;
  #needed = WIRE_HEADER_BYTES;

  /**
   * Takes what arrived and returns the payloads that are now whole. A payload may share memory with the input.
   *
   * @throws FormatError when a frame is too long or its checksum is wrong; the stream cannot go on then
   */
  push(bytes: Uint8Array): readonly Uint8Array[] {
    this.#chunks.push(bytes);
    this.#held += bytes.length;
    const payloads: Uint8Array[] = [];
    while (this.#held >= this.#needed) {
      const joined = this.#join();
      const view = new DataView(joined.buffer, joined.byteOffset, joined.byteLength);
      const length = view.getUint32(0);
      if (length > MAX_WIRE_FRAME_BYTES) throw new FormatError(`frame of ${length} bytes`);
      const end = WIRE_HEADER_BYTES + length;
      if (joined.length < end) {
        this.#needed = end;
        break;
      }
      const payload = joined.subarray(WIRE_HEADER_BYTES, end);
      checkPayload(payload, view.getUint32(4));
      payloads.push(payload);
      this.#chunks = [joined.subarray(end)];
      this.#held = joined.length - end;
      this.#needed = WIRE_HEADER_BYTES;
    }
    return payloads;
  }

  #join(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] as Uint8Array;
  }
}
