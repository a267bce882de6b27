import { expect, it } from 'vitest';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { FrameReader, framePrefix } from './tcp-frames.ts';

it('gives back messages however the stream was cut', () => {
  const random = new SeededRandom(5);
  const messages = Array.from({ length: 200 }, (_, i) =>
    random.bytes(i % 7 === 0 ? 0 : random.nextUint32() % (i % 50 === 1 ? 60_000 : 300)),
  );
  const stream = messages.flatMap((message) => [...framePrefix(message.length), ...message]);
  const reader = new FrameReader();
  const read: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const size = 1 + (random.nextUint32() % (random.next() < 0.5 ? 3 : 5000));
    reader.push(Uint8Array.from(stream.slice(at, at + size)));
    at += size;
    for (let next = reader.next(); next !== undefined; next = reader.next()) read.push(next.join());
  }
  expect(read).toEqual(messages.map((message) => message.join()));
  expect(reader.held).toBe(0);
});
