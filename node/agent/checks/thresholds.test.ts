import { expect, it } from 'vitest';
import type { CheckStatus } from '../../../shared/types/v1.ts';
import { initialCounters, judge } from './thresholds.ts';

/** p, w, c are results; the answer has a letter where the result applied and `-` where it did not. */
function applied(results: string, successBeforePassing: number, failuresBeforeCritical: number): string {
  const thresholds = { successBeforePassing, failuresBeforeCritical };
  const statuses: Record<string, CheckStatus> = { p: 'passing', w: 'warning', c: 'critical' };
  let counters = initialCounters(thresholds);
  let out = '';
  for (const letter of results) {
    const verdict = judge(counters, thresholds, { status: statuses[letter] ?? 'critical', output: '' });
    counters = verdict.counters;
    out += verdict.applies ? letter : '-';
  }
  return out;
}

it.each([
  ['without thresholds every result applies', 'pcwcp', 0, 0, 'pcwcp'],
  ['0 and 1 are the same', 'pcwcp', 1, 1, 'pcwcp'],
  ['the first result applies whatever it is: failure', 'cc', 3, 3, 'cc'],
  ['the first result applies whatever it is: success', 'pp', 3, 3, 'pp'],
  ['the second failure in a row flips', 'pcc', 0, 2, 'p-c'],
  ['a success in between starts the count anew', 'pcpccp', 0, 2, 'p-p-cp'],
  ['the third success in a row flips back', 'cppcppp', 3, 0, 'c--c--p'],
  ['a warning counts as success', 'cwwp', 2, 0, 'c-wp'],
  ['both', 'pccccppp', 2, 3, 'p--cc-pp'],
])('%s', (_name, results, success, failures, expected) => {
  expect(applied(results, success, failures)).toBe(expected);
});
