import { describe, expect, it } from 'vitest';
import { type SimulatedEnv, simulatedEnv } from '../../../shared/simulated-env.ts';
import { asIndex, asNodeId, asTerm, type SnapshotMeta } from '../core/entry.ts';
import { createSnapshotStore, type StoredSnapshot } from '../snapshots/snapshot-store.ts';
import type { SnapshotChunk, SnapshotChunkReply } from '../transport/codec.ts';
import { createMemoryDisk } from '../wal/memory-disk.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';

const MIB = 1024 * 1024;
const META: SnapshotMeta = { index: asIndex(7), term: asTerm(2), peers: [], configurationIndex: asIndex(1) };

/** A sender's and a receiver's disk, and a link between them that can be cut after so many chunks. */
async function pair(bytes: Uint8Array, meta = META) {
  const env = simulatedEnv(1);
  const stores = ['from', 'to'].map((directory) =>
    createSnapshotStore({ disk: createMemoryDisk(), directory, nowMs: () => env.clock.nowMs() }),
  );
  const [from, to] = stores;
  if (from === undefined || to === undefined) throw new Error('no stores');
  const sink = await from.create(meta);
  await sink.write(bytes);
  const snapshot = await sink.finish();
  const sent: SnapshotChunk[] = [];
  const received: StoredSnapshot[] = [];
  const failures: string[] = [];
  const memory = new Set<Uint8Array>();
  let sender: SnapshotSender | undefined;
  let chunksLeft = Number.POSITIVE_INFINITY;
  const receiver = new SnapshotReceiver({
    store: to,
    reply: (_to, transfer, offset) => {
      const reply: SnapshotChunkReply = { kind: 'snapshot-chunk-reply', term: asTerm(2), transfer, offset };
      queueMicrotask(() => sender?.acknowledged(reply));
    },
    onReceived: (_from, _chunk, stored) => received.push(stored),
    onFailure: (error) => failures.push(error.message),
  });
  const start = (transfer: number, peer = 'leader') => {
    const ends: boolean[] = [];
    let releases = 0;
    sender = new SnapshotSender({
      env,
      term: asTerm(2),
      transfer,
      snapshot,
      readAt: async (offset, length, into) => {
        into.set(await from.readAt(snapshot, offset, length));
        memory.add(into);
        return into.subarray(0, length);
      },
      send: (chunk) => {
        sent.push(chunk);
        if (chunksLeft-- > 0) queueMicrotask(() => receiver.chunk(asNodeId(peer), chunk));
      },
      retryMs: 100,
      onRelease: () => releases++,
      onEnd: (ok) => ends.push(ok),
    });
    sender.start();
    return { sender, ends, releases: () => releases };
  };
  return {
    env,
    to,
    sent,
    received,
    failures,
    memory,
    start,
    cutAfter: (chunks: number) => {
      chunksLeft = chunks;
    },
  };
}

const lengthOf = (chunks: readonly SnapshotChunk[]) =>
  chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);

/** Lets what is under way arrive, and time go by in between. */
async function pass(env: SimulatedEnv, ms: number): Promise<void> {
  for (let passed = 0; ; passed += 50) {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (passed >= ms) return;
    env.clock.advance(50);
  }
}

const patterned = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 12)) & 0xff);

describe('a snapshot on its way', () => {
  it.each([0, 1, 256 * 1024, 3 * MIB + 5])('of %i bytes arrives whole', async (size) => {
    const { env, received, sent, start, to } = await pair(patterned(size));
    const { ends, releases } = start(1);
    await pass(env, 0);
    expect([ends, releases()]).toEqual([[true], 1]);
    const [stored] = received;
    if (stored === undefined) throw new Error('nothing arrived');
    const parts: Uint8Array[] = [];
    for await (const part of to.read(stored)) parts.push(part);
    expect(Buffer.concat(parts).equals(patterned(size))).toBe(true);
    expect(lengthOf(sent)).toBe(size);
  });

  it('goes on where it broke off, be it from another leader', async () => {
    const size = 4 * MIB;
    const { cutAfter, env, received, sent, start } = await pair(patterned(size));
    cutAfter(9);
    const first = start(1);
    await pass(env, 0);
    first.sender.cancel();
    expect(first.releases()).toBe(1);
    cutAfter(Number.POSITIVE_INFINITY);
    sent.length = 0;
    const second = start(2, 'the next leader');
    await pass(env, 0);
    expect(second.ends).toEqual([true]);
    expect(received).toHaveLength(1);
    // Eight chunks of 256 KiB had arrived after the offer.
    expect(lengthOf(sent)).toBe(size - 2 * MIB);
  });

  it('is never more than four chunks ahead of what is written', async () => {
    const { cutAfter, env, sent, start } = await pair(patterned(4 * MIB));
    cutAfter(1);
    start(1);
    await pass(env, 0);
    expect(lengthOf(sent)).toBe(MIB);
  });

  it('passes through the memory of its window', async () => {
    const { env, memory, start } = await pair(patterned(4 * MIB));
    const { ends } = start(1);
    await pass(env, 0);
    expect(ends).toEqual([true]);
    expect(memory.size).toBeLessThanOrEqual(5);
  });

  it('survives lost chunks and lost answers', async () => {
    const { cutAfter, env, received, start } = await pair(patterned(3 * MIB));
    cutAfter(0);
    const { ends } = start(1);
    await pass(env, 150);
    cutAfter(3);
    await pass(env, 200);
    cutAfter(Number.POSITIVE_INFINITY);
    await pass(env, 300);
    expect(ends).toEqual([true]);
    expect(received).toHaveLength(1);
  });

  it('ends after many tries without an answer', async () => {
    const { cutAfter, env, start } = await pair(patterned(MIB));
    cutAfter(0);
    const { ends, releases } = start(1);
    await pass(env, 3000);
    expect([ends, releases()]).toEqual([[false], 1]);
  });
});
