/** First bytes of membership messages (memberlist) and the version numbers that this node speaks. */

export const MessageType = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  hasCrc: 12,
  error: 13,
  hasLabel: 244,
} as const;

/** Protocol min, max, current, then delegate min, max, current. */
export type Versions = readonly [number, number, number, number, number, number];

export const OWN_VERSIONS: Versions = [1, 5, 2, 2, 5, 4];

/** Longest node meta (tags) that peers accept. */
export const MAX_META_BYTES = 512;

/** What a stream may carry in one direction, before and after decompression. */
export const MAX_STREAM_BYTES = 20 * 1024 * 1024;
