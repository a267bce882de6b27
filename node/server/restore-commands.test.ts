import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { kvGet, kvList } from '../rpc/endpoints.ts';
import { topic } from '../state/topics.ts';
import { Harness, streamOf } from './endpoints/harness.ts';
import {
  abortRestoreCommand,
  beginRestoreCommand,
  finishRestoreCommand,
  restorePieceCommand,
} from './restore-commands.ts';

function put(harness: Harness, key: string, value: string): void {
  const fields = { flags: 0, index: 0, session: '' };
  harness.apply({ type: 'kv', verb: 'set', key, value: Buffer.from(value), ...fields });
}

function texts(harness: Harness): string[] {
  return harness
    .value(kvList, { prefix: '' })
    .map(({ Key, Value }) => `${Key}=${Buffer.from(String(Value), 'base64').toString()}`);
}

/** A state with `count` keys, as bytes, and its index. */
async function saved(count: number): Promise<{ bytes: Buffer; index: number }> {
  const harness = new Harness(5);
  for (let i = 0; i < count; i++) put(harness, `k${i}`, `saved ${i}`);
  return { bytes: await harness.snapshot(), index: harness.index };
}

function pieces(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

function upload(harness: Harness, id: string, parts: readonly Buffer[]): unknown[] {
  return [
    harness.apply(beginRestoreCommand(id)),
    ...parts.map((part, i) => harness.apply(restorePieceCommand(id, i, deflateRawSync(part)))),
  ];
}

describe('a restore through the log', () => {
  test('changes nothing until it is finished, and then everything at once', async () => {
    const { bytes, index } = await saved(3);
    const parts = pieces(bytes, 40);
    expect(parts.length).toBeGreaterThan(3);
    const harness = new Harness();
    put(harness, 'mine', '1');
    expect(upload(harness, 'r', parts).every((result) => result === true)).toBe(true);
    put(harness, 'between', '2');
    expect(texts(harness)).toEqual(['between=2', 'mine=1']);
    expect(harness.store.pendingRestore).toBe('r');
    const restoredAt = harness.apply(finishRestoreCommand('r', parts.length, index));
    expect(texts(harness)).toEqual(['k0=saved 0', 'k1=saved 1', 'k2=saved 2']);
    expect([harness.store.pendingRestore, harness.store.generation]).toEqual([undefined, 1]);
    expect(restoredAt).toBe(harness.index + harness.store.indexOffset);
  });

  test('keeps the indexes of records, and lets no watcher see time go back', async () => {
    const { bytes, index } = await saved(2);
    const harness = new Harness();
    for (let i = 0; i < 50; i++) put(harness, 'k0', `mine ${i}`);
    const seen = harness.read(kvGet, { key: 'k0' }).index;
    expect(seen).toBeGreaterThan(index);
    let woken = 0;
    harness.store.watch([topic.kvKey('k0')], () => woken++);
    harness.store.watch([topic.nodes], () => woken++);
    upload(harness, 'r', [bytes]);
    expect(woken).toBe(0);
    const restoredAt = Number(harness.apply(finishRestoreCommand('r', 1, index)));
    expect(woken).toBe(2);
    const found = harness.read(kvGet, { key: 'k0' });
    expect(found.index).toBe(restoredAt);
    expect(restoredAt).toBeGreaterThan(seen);
    expect(found.value[0]?.ModifyIndex).toBeLessThan(index);
    put(harness, 'k0', 'later');
    expect(harness.read(kvGet, { key: 'k0' }).index).toBeGreaterThan(restoredAt);
    expect(harness.read(kvGet, { key: 'none' }).index).toBeGreaterThanOrEqual(restoredAt);
  });

  test('into a younger cluster: later changes have higher indexes than anything restored', async () => {
    const { bytes, index } = await saved(500);
    const harness = new Harness();
    upload(harness, 'r', [bytes]);
    expect(harness.apply(finishRestoreCommand('r', 1, index))).toBe(index + 1);
    put(harness, 'k7', 'new');
    const [entry] = harness.value(kvGet, { key: 'k7' });
    expect(entry?.ModifyIndex).toBe(index + 2);
    expect(entry?.CreateIndex).toBeLessThan(index);
    const again = new Harness(9);
    await again.machine.restore(streamOf(await harness.snapshot()));
    expect(again.store.indexOffset).toBe(harness.store.indexOffset);
    put(again, 'k7', 'newer');
    expect(again.read(kvGet, { key: 'k7' }).index).toBeGreaterThan(index);
  });

  test('goes on from a snapshot of Raft that was taken in the middle', async () => {
    const { bytes, index } = await saved(4);
    const parts = pieces(bytes, 30);
    const half = Math.floor(parts.length / 2);
    const [one, other] = [new Harness(), new Harness()];
    for (const harness of [one, other]) {
      put(harness, 'mine', '1');
      upload(harness, 'r', parts.slice(0, half));
    }
    // The other has got some pieces already: they must not count twice.
    await other.machine.restore(streamOf(await one.snapshot()));
    for (const harness of [one, other]) {
      for (const [i, part] of parts.slice(half).entries())
        expect(harness.apply(restorePieceCommand('r', half + i, deflateRawSync(part)))).toBe(true);
      harness.apply(finishRestoreCommand('r', parts.length, index));
    }
    expect(texts(other)).toEqual(texts(one));
    expect(await other.snapshot()).toEqual(await one.snapshot());
  });

  test.each<[string, (parts: Buffer[], index: number) => Parameters<Harness['apply']>[0][], string]>([
    [
      'a piece that is missing',
      (parts, index) => [
        beginRestoreCommand('r'),
        restorePieceCommand('r', 1, deflateRawSync(parts[1] ?? '')),
        finishRestoreCommand('r', 2, index),
      ],
      'restore has 0 pieces instead of 2',
    ],
    [
      'an end that is missing',
      (parts, index) => [
        beginRestoreCommand('r'),
        restorePieceCommand('r', 0, deflateRawSync(Buffer.concat(parts).subarray(0, -3))),
        finishRestoreCommand('r', 1, index),
      ],
      'stream ends within a frame',
    ],
    [
      'bytes that are no state',
      (_parts, index) => [
        beginRestoreCommand('r'),
        restorePieceCommand('r', 0, deflateRawSync(Buffer.from([0, 0, 0, 1, 5]))),
        finishRestoreCommand('r', 1, index),
      ],
      'state snapshot: not one of this program',
    ],
    [
      'bytes that are not packed',
      (parts, index) => [
        beginRestoreCommand('r'),
        restorePieceCommand('r', 0, Buffer.concat([Buffer.from([0xff]), ...parts])),
        finishRestoreCommand('r', 1, index),
      ],
      'invalid',
    ],
    [
      'another restore that has begun since',
      (parts, index) => [
        beginRestoreCommand('r'),
        restorePieceCommand('r', 0, deflateRawSync(Buffer.concat(parts))),
        beginRestoreCommand('s'),
        finishRestoreCommand('r', 1, index),
      ],
      'this restore is not under way',
    ],
    [
      'an abort',
      (parts, index) => [
        beginRestoreCommand('r'),
        restorePieceCommand('r', 0, deflateRawSync(Buffer.concat(parts))),
        abortRestoreCommand('r'),
        finishRestoreCommand('r', 1, index),
      ],
      'this restore is not under way',
    ],
    [
      'an index out of range',
      (parts) => [
        beginRestoreCommand('r'),
        restorePieceCommand('r', 0, deflateRawSync(Buffer.concat(parts))),
        finishRestoreCommand('r', 1, 2 ** 53 - 1),
      ],
      'state snapshot: its index is out of range',
    ],
  ])('%s: the state stays, and a new restore works', async (_, commandsOf, refusal) => {
    const { bytes, index } = await saved(3);
    const harness = new Harness();
    put(harness, 'mine', '1');
    const results = commandsOf(pieces(bytes, 50), index).map((command) => harness.apply(command));
    expect(results.at(-1)).toEqual({ refused: expect.stringContaining(refusal) });
    expect([texts(harness), harness.store.generation]).toEqual([['mine=1'], 0]);
    upload(harness, 'again', [bytes]);
    harness.apply(finishRestoreCommand('again', 1, index));
    expect(texts(harness)).toHaveLength(3);
  });

  test('an abort by another name changes nothing', async () => {
    const { bytes, index } = await saved(1);
    const harness = new Harness();
    upload(harness, 'r', [bytes]);
    harness.apply(abortRestoreCommand('s'));
    harness.apply(finishRestoreCommand('r', 1, index));
    expect(texts(harness)).toEqual(['k0=saved 0']);
  });
});
