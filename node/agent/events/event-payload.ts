/** A user event as gossip carries it: a msgpack map with short keys (reference: events on the LAN pool). */

import { Packr } from 'msgpackr';
import type { UserEvent } from '../../../shared/types/user-event.ts';
import { forEachField, MsgpackReader, tryDecode } from '../../gossip/codec/msgpack-reader.ts';

export const EVENT_VERSION = 1;
const MAX_VERSION = 2 ** 31 - 1;

/** Writes the new flavour of msgpack (short strings, binary), which is what Consul puts into this payload. */
const packr = new Packr({ useRecords: false, variableMapSize: true });

/** Empty fields are left out. */
export function encodeUserEvent(event: Omit<UserEvent, 'lTime'>): Uint8Array {
  return packr.pack({
    ID: event.id,
    n: event.name,
    ...(event.payload !== null && event.payload.length > 0 && { p: event.payload }),
    ...(event.nodeFilter !== '' && { nf: event.nodeFilter }),
    ...(event.serviceFilter !== '' && { sf: event.serviceFilter }),
    ...(event.tagFilter !== '' && { tf: event.tagFilter }),
    v: event.version,
  });
}

/** @returns undefined when the bytes, which come from the network, are no event */
export function decodeUserEvent(bytes: Uint8Array, lTime: bigint): UserEvent | undefined {
  const event = tryDecode(() => readFields(new MsgpackReader(bytes)));
  if (event === undefined || !UUID.test(event.id) || event.name === '') return undefined;
  return { ...event, lTime };
}

/** The list's index is made of the ID's digits, so it has to have this form. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function readFields(reader: MsgpackReader): Omit<UserEvent, 'lTime'> {
  const event = {
    id: '',
    name: '',
    payload: null as Uint8Array | null,
    nodeFilter: '',
    serviceFilter: '',
    tagFilter: '',
    version: 0,
  };
  forEachField(reader, (key) => {
    switch (key) {
      case 'ID':
        event.id = reader.string();
        return;
      case 'n':
        event.name = reader.string();
        return;
      case 'p':
        event.payload = copyOrNull(reader.bytes());
        return;
      case 'nf':
        event.nodeFilter = reader.string();
        return;
      case 'sf':
        event.serviceFilter = reader.string();
        return;
      case 'tf':
        event.tagFilter = reader.string();
        return;
      case 'v':
        event.version = reader.uint(MAX_VERSION);
        return;
      default:
        reader.skip();
    }
  });
  return event;
}

/** The reader's bytes are a view on a packet that is used again. */
function copyOrNull(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === 0 ? null : Uint8Array.prototype.slice.call(bytes);
}
