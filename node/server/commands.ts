/** The commands of the replicated log: their constructors, and their form as bytes. */

import { Packr } from 'msgpackr';
import type { AutopilotSettings } from '../../shared/types/autopilot.ts';
import type { Coordinate } from '../../shared/types/v1.ts';
import type { Command } from './handlers.ts';

/**
 * Version of the encoding, the first byte of every command. A server refuses to go on when it meets one that is
 * newer than its own: skipping a command that others apply would corrupt the state.
 */
export const COMMAND_VERSION = 1;

/** Whole numbers come back as numbers while they are safe integers, as bigint above. The typings lack this value. */
const AUTO_INT64: object = { int64AsType: 'auto' };

const packr = new Packr({ useRecords: false, ...AUTO_INT64 });

/** @returns the command as it goes into the log: a version byte, then msgpack */
export function encodeCommand(command: Command): Uint8Array {
  const body = packr.pack(command);
  // Out of a pool: a buffer of its own costs more than all that is written into it.
  const bytes = Buffer.allocUnsafe(body.length + 1);
  bytes[0] = COMMAND_VERSION;
  bytes.set(body, 1);
  return bytes;
}

/** @throws Error when the bytes come from a newer version or are no command: the log can't be applied */
export function decodeCommand(bytes: Uint8Array): Command {
  const version = bytes[0];
  if (version !== COMMAND_VERSION)
    throw new Error(
      `log command has version ${String(version)}, this server knows ${COMMAND_VERSION}: it needs a newer release`,
    );
  const command: unknown = packr.unpack(bytes.subarray(1));
  if (typeof command !== 'object' || command === null || !('type' in command)) {
    throw new Error('log command is not an object with a type');
  }
  if (typeof command.type !== 'string') throw new Error('log command type is not text');
  return command as Command;
}

/**
 * Forgets deletions up to and including an index, and lock delays that are over.
 *
 * @param upToIndex log index, ≥ 0
 * @param nowMs     the leader's wall clock
 */
export function reapTombstonesCommand(upToIndex: number, nowMs: number): Command {
  return { type: 'tombstone-reap', upToIndex, nowMs };
}

/** Ends a session, as `Session.Destroy`, for the leader's own reasons (its TTL ran out). `apply` returns true. */
export function destroySessionCommand(id: string, nowMs: number): Command {
  return { type: 'session-destroy', id, nowMs };
}

/** Opens a write session. `apply` returns the ID. @param id 16 hex digits that the leader has drawn */
export function openWriteSessionCommand(id: string, nowMs: number): Command {
  return { type: 'write-session-open', id, nowMs };
}

/** Replaces coordinates of nodes; unknown nodes are dropped silently. `apply` returns true. */
export function updateCoordinatesCommand(
  updates: readonly { readonly node: string; readonly coordinate: Coordinate }[],
): Command {
  return { type: 'coordinate-update', updates };
}

/**
 * Replaces the autopilot configuration. `apply` returns whether it did: false when `ifModifyIndex` is given and
 * not the current one.
 */
export function setAutopilotCommand(config: AutopilotSettings, ifModifyIndex?: number | bigint): Command {
  return { type: 'autopilot-set', config, ...(ifModifyIndex === undefined ? {} : { ifModifyIndex }) };
}
