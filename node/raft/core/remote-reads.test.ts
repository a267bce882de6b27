import { describe, expect, it } from 'vitest';
import { RemoteReads } from './remote-reads.ts';

describe('reads that a leader elsewhere is to confirm', () => {
  it('go out as one batch a turn and come back by its number', () => {
    const reads = new RemoteReads();
    expect(reads.takeBatch(0)).toBeUndefined();
    reads.add(1);
    reads.add(2);
    const first = reads.takeBatch(0);
    reads.add(3);
    const second = reads.takeBatch(10);
    expect(reads.confirmed(second ?? 0)).toEqual([3]);
    expect(reads.confirmed(first ?? 0)).toEqual([1, 2]);
    expect(reads.confirmed(first ?? 0)).toEqual([]);
    expect(reads.isEmpty).toBe(true);
  });

  it('are given up when overdue, or all at once', () => {
    const reads = new RemoteReads();
    reads.add(1);
    reads.takeBatch(0);
    reads.add(2);
    reads.takeBatch(50);
    expect(reads.takeOverdue(50)).toEqual([1]);
    reads.add(3);
    expect(reads.takeAll()).toEqual([2, 3]);
    expect(reads.isEmpty).toBe(true);
  });

  it('are bounded while the leader answers none', () => {
    const reads = new RemoteReads();
    let taken = 0;
    while (reads.add(taken) && taken < 10_000) {
      taken++;
      reads.takeBatch(taken);
    }
    expect(taken).toBe(1024);
  });
});
