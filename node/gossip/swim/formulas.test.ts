/** The numbers of the reference: suspicion, retransmission and scaling by pool size. */

import { describe, expect, it } from 'vitest';
import { Awareness } from './awareness.ts';
import { pushPullIntervalMs, retransmitLimit } from './scaling.ts';
import {
  confirmationsOf,
  confirmSuspicion,
  expectedConfirmations,
  startSuspicion,
  suspicionLeftMs,
  suspicionMinMs,
} from './suspicion.ts';
import { versionConflict } from './version-check.ts';

describe('by pool size', () => {
  it.each([
    [1, 4, 4000, 30_000, 30_000],
    [9, 4, 4000, 30_000, 30_000],
    [10, 8, 4000, 30_000, 30_000],
    [11, 8, 4164, 31_230, 30_000],
    [99, 8, 7980, 59_850, 90_000],
    [100, 12, 8000, 60_000, 90_000],
    [101, 12, 8016, 60_120, 90_000],
    [1000, 16, 12_000, 90_000, 180_000],
  ])('%i nodes', (nodes, transmits, lanMs, wanMs, pushPullMs) => {
    expect(retransmitLimit(4, nodes)).toBe(transmits);
    expect(suspicionMinMs(4, nodes, 1000)).toBe(lanMs);
    expect(suspicionMinMs(6, nodes, 5000)).toBe(wanMs);
    expect(pushPullIntervalMs(30_000, nodes)).toBe(pushPullMs);
  });

  it.each([
    [32, 1],
    [33, 2],
    [64, 2],
    [65, 3],
    [128, 3],
  ])('push/pull of %i nodes every %i intervals', (nodes, factor) => {
    expect(pushPullIntervalMs(1, nodes)).toBe(factor);
  });
});

describe('suspicion', () => {
  it.each([
    // memberlist's own table: minimum 2 s, maximum 30 s, three confirmations expected
    [0, 0, 30_000],
    [0, 2000, 28_000],
    [1, 2000, 14_000],
    [2, 3000, 4810],
    [3, 3000, -1000],
    [3, 40_000, -38_000],
  ])('%i confirmations after %i ms leave %i ms', (confirmations, elapsedMs, leftMs) => {
    const left = suspicionLeftMs(2000, 30_000, 3, confirmations, elapsedMs);
    expect(left).toBe(leftMs);
  });

  it('expects no confirmations in a pool too small to give them', () => {
    expect(expectedConfirmations(4, 3)).toBe(0);
    expect(expectedConfirmations(4, 4)).toBe(2);
    expect(expectedConfirmations(3, 3)).toBe(1);
    expect(expectedConfirmations(1, 100)).toBe(0);
    expect(startSuspicion(4, 3, 1000, 'a', 0).dueAtMs).toBe(4000);
    expect(startSuspicion(4, 4, 1000, 'a', 0).dueAtMs).toBe(24_000);
  });

  it('counts each accuser once, never the first, and no more than expected', () => {
    const suspicion = startSuspicion(4, 10, 1000, 'a', 0);
    expect(confirmSuspicion(suspicion, 'a', 0)).toBe(false);
    expect(confirmSuspicion(suspicion, 'b', 0)).toBe(true);
    expect(confirmSuspicion(suspicion, 'b', 0)).toBe(false);
    expect(confirmationsOf(suspicion)).toBe(1);
    expect(suspicion.dueAtMs).toBeGreaterThan(4000);
    expect(confirmSuspicion(suspicion, 'c', 1000)).toBe(true);
    expect(suspicion.dueAtMs).toBe(4000);
    expect(confirmSuspicion(suspicion, 'd', 1000)).toBe(false);
  });

  it('ends at once when the confirmation comes after the shortened time', () => {
    const suspicion = startSuspicion(4, 10, 1000, 'a', 0);
    confirmSuspicion(suspicion, 'b', 23_000);
    expect(suspicion.dueAtMs).toBe(23_000);
  });
});

it('awareness stays between 0 and 7 and stretches timeouts', () => {
  const awareness = new Awareness();
  awareness.apply(-1);
  expect(awareness.score).toBe(0);
  awareness.apply(3);
  expect(awareness.scaled(1000)).toBe(4000);
  awareness.apply(100);
  expect(awareness.score).toBe(7);
});

describe('version check', () => {
  const node = (
    name: string,
    versions: readonly [number, number, number, number, number, number] | undefined,
    isAlive = true,
  ) => ({ name, versions, isAlive });
  const local = [node('me', [1, 5, 2, 2, 5, 4])];

  it('accepts overlapping ranges', () => {
    expect(
      versionConflict([node('a', [1, 5, 2, 2, 5, 4]), node('b', [2, 4, 2, 3, 4, 4])], local),
    ).toBeUndefined();
  });

  it('names the node outside', () => {
    expect(versionConflict([node('a', [3, 5, 4, 2, 5, 4])], local)).toBe(
      "Node 'me' protocol version (2) is incompatible: [3, 5]",
    );
    expect(versionConflict([node('a', [1, 5, 2, 2, 5, 9])], local)).toBe(
      "Node 'a' delegate protocol version (9) is incompatible: [2, 5]",
    );
    expect(versionConflict([node('a', undefined)], local)).toBe(
      "Node 'a' protocol version (0) is incompatible: [1, 5]",
    );
  });

  it('a dead node does not narrow the range', () => {
    expect(versionConflict([node('a', [2, 5, 2, 5, 5, 5], false)], local)).toBeUndefined();
  });
});
