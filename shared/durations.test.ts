import { describe, expect, test } from 'vitest';
import { formatDurationMs, formatDurationNs, parseDurationNs } from './durations.ts';

describe('parseDurationNs', () => {
  test.each([
    ['0', 0],
    ['5s', 5e9],
    ['1h15m', 4500e9],
    ['1.5s', 1.5e9],
    ['.5s', 0.5e9],
    ['1m30s', 90e9],
    ['200ms', 200e6],
    ['10us', 10e3],
    ['10µs', 10e3],
    ['7ns', 7],
    ['-2m', -120e9],
    ['+3s', 3e9],
  ])('%s', (text, expected) => expect(parseDurationNs(text)).toBe(expected));

  test.each([
    ['', 'time: invalid duration ""'],
    ['x', 'time: invalid duration "x"'],
    ['5', 'time: missing unit in duration "5"'],
    ['5x', 'time: unknown unit "x" in duration "5x"'],
    ['5s3', 'time: missing unit in duration "5s3"'],
    ['99999999999h', 'time: invalid duration "99999999999h"'],
    ['-', 'time: invalid duration "-"'],
  ])('%j is refused in the words of Go', (text, message) =>
    expect(() => parseDurationNs(text)).toThrow(message),
  );
});

test.each([
  [0, '0s'],
  [1, '1ns'],
  [-1, '-1ns'],
  [1500, '1.5µs'],
  [200e6, '200ms'],
  [1.5e9, '1.5s'],
  [60e9, '1m0s'],
  [90e9, '1m30s'],
  [86_400e9, '24h0m0s'],
  [4_600_000, '4.6ms'],
])('formatDurationNs(%d) is %s', (ns, text) => expect(formatDurationNs(ns)).toBe(text));

test('what is formatted reads back the same', () => {
  for (const ms of [1, 59_999, 3_600_001, 0.25]) expect(parseDurationNs(formatDurationMs(ms))).toBe(ms * 1e6);
});
