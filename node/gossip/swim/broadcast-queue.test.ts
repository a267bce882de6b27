import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../shared/simulated-env.ts';
import { BroadcastQueue } from './broadcast-queue.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const texts = (taken: Uint8Array[]) => taken.map((item) => Buffer.from(item).toString());

function queueOf(...items: string[]): BroadcastQueue {
  const queue = new BroadcastQueue();
  for (const item of items) queue.queue({ bytes: bytes(item), subject: undefined, onFinished: undefined });
  return queue;
}

describe('the broadcast queue', () => {
  it('takes the least sent first, then longer, then newer', () => {
    const queue = queueOf('aa', 'bb', 'ccc');
    expect(texts(queue.take(0, 3, 10))).toEqual(['ccc']);
    expect(texts(queue.take(0, 100, 10))).toEqual(['bb', 'aa', 'ccc']);
  });

  it('fills the room that is left with what fits', () => {
    const queue = queueOf('aaaaaaaa', 'bbbb', 'cc');
    expect(texts(queue.take(2, 10, 10))).toEqual(['aaaaaaaa']);
    expect(texts(queue.take(2, 10, 10))).toEqual(['bbbb', 'cc']);
    expect(texts(queue.take(2, 3, 10))).toEqual([]);
  });

  it('sends nothing twice in one packet and drops at the limit', () => {
    const finished: string[] = [];
    const queue = new BroadcastQueue();
    queue.queue({ bytes: bytes('x'), subject: undefined, onFinished: () => finished.push('x') });
    for (let send = 1; send <= 3; send++) expect(texts(queue.take(0, 100, 3))).toEqual(['x']);
    expect(queue.length).toBe(0);
    expect(finished).toEqual(['x']);
    expect(texts(queue.take(0, 100, 3))).toEqual([]);
  });

  it('news about the same subject replaces the older', () => {
    const finished: string[] = [];
    const queue = new BroadcastQueue();
    queue.queue({ bytes: bytes('old'), subject: 'n', onFinished: () => finished.push('old') });
    queue.take(0, 100, 5);
    queue.queue({ bytes: bytes('new'), subject: 'n', onFinished: undefined });
    expect(finished).toEqual(['old']);
    expect(texts(queue.take(0, 100, 5))).toEqual(['new']);
    expect(queue.length).toBe(1);
  });

  it('prunes the most sent and oldest', () => {
    const queue = queueOf('a', 'b');
    queue.take(0, 100, 10);
    for (const item of ['c', 'd'])
      queue.queue({ bytes: bytes(item), subject: undefined, onFinished: undefined });
    queue.prune(3);
    expect(texts(queue.take(0, 100, 10)).sort()).toEqual(['b', 'c', 'd']);
    queue.prune(0);
    expect(queue.length).toBe(0);
  });

  it('keeps its count and limits under random use', () => {
    const random = new SeededRandom(5);
    const queue = new BroadcastQueue();
    const sent = new Map<string, number>();
    for (let step = 0; step < 5000; step++) {
      if (random.next() < 0.3) {
        const text = `${step}`.padEnd(Math.floor(random.next() * 40), '.');
        const subject = random.next() < 0.5 ? `s${Math.floor(random.next() * 20)}` : undefined;
        queue.queue({ bytes: bytes(text), subject, onFinished: undefined });
      }
      const room = Math.floor(random.next() * 120);
      const taken = texts(queue.take(2, room, 4));
      expect(taken.reduce((sum, text) => sum + text.length + 2, 0)).toBeLessThanOrEqual(room);
      expect(new Set(taken).size).toBe(taken.length);
      for (const text of taken) sent.set(text, (sent.get(text) ?? 0) + 1);
    }
    expect(Math.max(...sent.values())).toBe(4);
    while (queue.length > 0) queue.take(2, 1000, 4);
    expect(texts(queue.take(2, 1000, 4))).toEqual([]);
  });
});
