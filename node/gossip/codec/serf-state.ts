/** Serf's part of a push/pull: clocks, the status time of every member, who left, and recent user events. */

import { bytesField, expectType, ownBytes, stringField, uintField } from './messages.ts';
import { forEachField, type MsgpackReader, tryDecode } from './msgpack-reader.ts';
import { encodeWith, type MsgpackWriter } from './msgpack-writer.ts';
import { SerfType } from './serf-messages.ts';

export interface RecentEvents {
  readonly lTime: bigint;
  readonly events: readonly { readonly name: string; readonly payload: Uint8Array }[];
}

export interface SerfState {
  readonly lTime: bigint;
  readonly statusLTimes: ReadonlyMap<string, bigint>;
  readonly leftMembers: readonly string[];
  readonly eventLTime: bigint;
  /** The event ring; free slots are undefined. */
  readonly events: readonly (RecentEvents | undefined)[];
  readonly queryLTime: bigint;
}

export function encodeSerfState(state: SerfState): Uint8Array {
  return encodeWith((out) => {
    out.byte(SerfType.pushPull);
    out.map(6);
    uintField(out, 'EventLTime', state.eventLTime);
    out.string('Events');
    out.array(state.events.length);
    for (const slot of state.events) writeSlot(out, slot);
    uintField(out, 'LTime', state.lTime);
    out.string('LeftMembers');
    out.array(state.leftMembers.length);
    for (const name of state.leftMembers) out.string(name);
    uintField(out, 'QueryLTime', state.queryLTime);
    out.string('StatusLTimes');
    out.map(state.statusLTimes.size);
    for (const [name, lTime] of state.statusLTimes) uintField(out, name, lTime);
  });
}

/** Undefined when malformed. Events keep the order of the list; nil slots are dropped. */
export function decodeSerfState(bytes: Uint8Array): SerfState | undefined {
  return tryDecode(() => {
    const reader = expectType(bytes, SerfType.pushPull);
    let lTime = 0n;
    let eventLTime = 0n;
    let queryLTime = 0n;
    let leftMembers: string[] = [];
    let events: RecentEvents[] = [];
    const statusLTimes = new Map<string, bigint>();
    forEachField(reader, (key) => {
      switch (key) {
        case 'LTime':
          lTime = reader.uint64();
          return;
        case 'EventLTime':
          eventLTime = reader.uint64();
          return;
        case 'QueryLTime':
          queryLTime = reader.uint64();
          return;
        case 'LeftMembers':
          leftMembers = readList(reader, () => reader.string());
          return;
        case 'StatusLTimes':
          forEachField(reader, (name) => statusLTimes.set(name, reader.uint64()));
          return;
        case 'Events':
          events = readList(reader, () => readSlot(reader)).filter((slot) => slot !== undefined);
          return;
        default:
          reader.skip();
      }
    });
    return { lTime, statusLTimes, leftMembers, eventLTime, events, queryLTime };
  });
}

function writeSlot(out: MsgpackWriter, slot: RecentEvents | undefined): void {
  if (slot === undefined) {
    out.nil();
    return;
  }
  out.map(2);
  out.string('Events');
  out.array(slot.events.length);
  for (const event of slot.events) {
    out.map(2);
    stringField(out, 'Name', event.name);
    bytesField(out, 'Payload', event.payload);
  }
  uintField(out, 'LTime', slot.lTime);
}

function readSlot(reader: MsgpackReader): RecentEvents | undefined {
  if (reader.nil()) return undefined;
  let lTime = 0n;
  let events: RecentEvents['events'] = [];
  forEachField(reader, (key) => {
    if (key === 'LTime') lTime = reader.uint64();
    else if (key === 'Events') events = readList(reader, () => readEvent(reader));
    else reader.skip();
  });
  return { lTime, events };
}

function readEvent(reader: MsgpackReader): { name: string; payload: Uint8Array } {
  let name = '';
  let payload = NO_BYTES;
  forEachField(reader, (key) => {
    if (key === 'Name') name = reader.string();
    else if (key === 'Payload') payload = ownBytes(reader.bytes());
    else reader.skip();
  });
  return { name, payload };
}

function readList<T>(reader: MsgpackReader, read: () => T): T[] {
  const items: T[] = [];
  for (let left = reader.array(); left > 0; left--) items.push(read());
  return items;
}

const NO_BYTES: Uint8Array = new Uint8Array(0);
