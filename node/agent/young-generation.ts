/**
 * Keeps V8's young generation small, so that an agent's memory stays near what it holds rather than what it has touched.
 *
 * V8 doubles the young generation whenever much of it survives, up to tens of megabytes, and gives little back. An
 * agent's garbage dies within a request: a few megabytes serve it as well. The command-line flag for this cannot be given
 * by the program itself, and growth has to happen first, or start-up would promote everything.
 */

import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves and what V8 adds to them. */
const ENOUGH_BYTES = 12 * 1024 * 1024;
/** A growth factor of one: it stays as it is. */
const STOP_GROWING = '--semi-space-growth-factor=1';

/** Does nothing when the user has chosen a size by V8's own flag. Call once in a process. */
export function boundYoungGeneration(): void {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (given.includes('semi-space') || given.includes('semi_space')) return;
  const observer = new PerformanceObserver(() => {
    if (youngGenerationBytes() < ENOUGH_BYTES) return;
    setFlagsFromString(STOP_GROWING);
    observer.disconnect();
  });
  observer.observe({ entryTypes: ['gc'] });
}

function youngGenerationBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0;
}
