/** Server-sent events out of bytes (HTML Living Standard §9.2.6), with lines ended as gateways end them, by LF alone. */

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  /** As of this event; '' before the first. */
  readonly lastId: string;
}

/** An event longer than this is refused, characters. */
const MAX_EVENT = 256 * 1024 * 1024;

/**
 * @param onBytes called for everything that comes, comments included
 * @throws what reading throws; RangeError for an event beyond all measure
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
): AsyncGenerator<ServerSentEvent, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let lastId = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      const text = decoder.decode(value, { stream: true });
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      if (rest.length > MAX_EVENT) throw new RangeError('an event is too long');
      for (const block of blocks) {
        const { event, data, id } = parseBlock(block);
        if (id !== undefined) lastId = id;
        if (data !== undefined) yield { event, data, lastId };
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

function parseBlock(block: string): { event: string; data: string | undefined; id: string | undefined } {
  let event = 'message';
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at === 0) continue;
    const field = at === -1 ? line : line.slice(0, at);
    const value = at === -1 ? '' : line.slice(at + (line[at + 1] === ' ' ? 2 : 1));
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id') id = value;
  }
  return { event, data: data.length === 0 ? undefined : data.join('\n'), id };
}
