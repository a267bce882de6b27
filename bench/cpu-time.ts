/** The processor time that processes have used so far, as Linux counts it. */

import { readFileSync } from 'node:fs';

/** One tick of `utime` and `stime` in /proc; 100 a second on every Linux in use. */
const TICK_MS = 10;

/** User and system time of the processes together, milliseconds; 0 where there is no /proc. */
export function cpuTimeMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuTimeOf(pid), 0);
}

function cpuTimeOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before the last parenthesis may hold blanks.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    // The process has ended, or this is no Linux: nothing to count.
    return 0;
  }
}

/** Resident memory, MiB; 0 where there is no /proc. */
export function residentMiB(pid: number): number {
  try {
    const line = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return Number(line?.[1] ?? 0) / 1024;
  } catch {
    // As above.
    return 0;
  }
}
