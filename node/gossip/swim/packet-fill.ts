/** Fills the room left in an outgoing packet with broadcasts: membership first, then what the layer above wants to spread. */

import { COMPOUND_HEADER_BYTES, COMPOUND_PART_BYTES, MAX_COMPOUND_PARTS } from '../codec/compound.ts';
import { MessageType } from '../codec/message-type.ts';
import { encodeMessage, type SwimMessage } from '../codec/messages.ts';
import type { SwimContext } from './context.ts';
import { retransmitLimit } from './scaling.ts';

/** The type byte in front of a user message. */
const USER_TYPE_BYTES = 1;

/** Sends a message with as many broadcasts as fit behind it. */
export function sendWithBroadcasts(
  context: SwimContext,
  host: string,
  port: number,
  message: SwimMessage,
): void {
  const bytes = encodeMessage(message);
  const room = context.config.packetBytes - COMPOUND_HEADER_BYTES - bytes.length;
  const messages = [bytes, ...takeBroadcasts(context, room)].slice(0, MAX_COMPOUND_PARTS);
  context.effects.push({ kind: 'send', host, port, messages, withCrc: false });
}

/** Broadcasts that fit `room` bytes, each counted as sent once. */
export function takeBroadcasts(context: SwimContext, room: number): Uint8Array[] {
  const limit = retransmitLimit(context.config.timers.retransmitMult, context.nodes.size);
  const messages = context.broadcasts.take(COMPOUND_PART_BYTES, room, limit);
  const used = messages.reduce((sum, bytes) => sum + bytes.length + COMPOUND_PART_BYTES, 0);
  const overhead = COMPOUND_PART_BYTES + USER_TYPE_BYTES;
  if (room - used <= overhead) return messages;
  for (const payload of context.delegate.takeBroadcasts(overhead, room - used))
    messages.push(asUserMessage(payload));
  return messages;
}

export function asUserMessage(payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(payload.length + USER_TYPE_BYTES);
  message[0] = MessageType.user;
  message.set(payload, USER_TYPE_BYTES);
  return message;
}
