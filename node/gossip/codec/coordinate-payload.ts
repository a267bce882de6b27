/** The coordinate that rides on direct acks. */

import type { Coordinate } from '../../../shared/types/v1.ts';
import { forEachField, MsgpackReader, tryDecode } from './msgpack-reader.ts';
import { encodeWith } from './msgpack-writer.ts';

const PAYLOAD_VERSION = 1;
/** More components than any peer uses; the coordinate client checks the exact number. */
const MAX_COMPONENTS = 64;

export function encodeCoordinatePayload(coordinate: Coordinate): Uint8Array {
  return encodeWith((out) => {
    out.byte(PAYLOAD_VERSION);
    out.map(4);
    out.string('Adjustment');
    out.float64(coordinate.Adjustment);
    out.string('Error');
    out.float64(coordinate.Error);
    out.string('Height');
    out.float64(coordinate.Height);
    out.string('Vec');
    out.array(coordinate.Vec.length);
    for (const component of coordinate.Vec) out.float64(component);
  });
}

/** Undefined for another version or malformed bytes. */
export function decodeCoordinatePayload(bytes: Uint8Array): Coordinate | undefined {
  if (bytes[0] !== PAYLOAD_VERSION) return undefined;
  return tryDecode(() => {
    const reader = new MsgpackReader(bytes, 1);
    const coordinate: Coordinate = { Vec: [], Error: 0, Adjustment: 0, Height: 0 };
    forEachField(reader, (key) => {
      if (key === 'Adjustment') coordinate.Adjustment = reader.float64();
      else if (key === 'Error') coordinate.Error = reader.float64();
      else if (key === 'Height') coordinate.Height = reader.float64();
      else if (key === 'Vec') coordinate.Vec = readComponents(reader);
      else reader.skip();
    });
    return coordinate;
  });
}

function readComponents(reader: MsgpackReader): number[] {
  const count = Math.min(reader.array(), MAX_COMPONENTS + 1);
  return Array.from({ length: count }, () => reader.float64());
}
