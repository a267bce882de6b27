import { describe, expect, it } from 'vitest';
import { asIndex, asTerm, entryBytes, type LogEntry } from './entry.ts';
import { RaftLog } from './log.ts';

function logOf(count: number): RaftLog {
  const log = new RaftLog();
  for (let i = 1; i <= count; i++)
    log.append({ index: asIndex(i), term: asTerm(1), kind: 'command', data: new Uint8Array(i) });
  return log;
}

const bytesOf = (entries: readonly LogEntry[]) => entries.reduce((sum, entry) => sum + entryBytes(entry), 0);

describe('compaction', () => {
  it.each([1, 3, 5, 8, 9, 10])('of ten entries up to %i leaves the rest and what they take', (index) => {
    const log = logOf(10);
    const rest = log.between(index + 1, 10);
    log.compactTo(asIndex(index));
    expect([log.baseIndex, log.firstIndex, log.lastIndex]).toEqual([index, index + 1, 10]);
    expect(log.between(index + 1, 10)).toEqual(rest);
    expect(log.bytes).toBe(bytesOf(rest));
    expect(log.termAt(index)).toBe(1);
    expect(log.entryAt(index)).toBeUndefined();
  });

  it('to what is compacted already changes nothing', () => {
    const log = logOf(10);
    log.compactTo(asIndex(6));
    log.compactTo(asIndex(4));
    expect([log.baseIndex, log.lastIndex]).toEqual([6, 10]);
  });
});
