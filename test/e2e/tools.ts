/** Programs that a user may lack: tests skip without them, except in the gate, where they are installed. */

import { execFileSync, spawnSync } from 'node:child_process';

/** Whether the program is there. In the gate its absence is an error. */
export function hasTool(name: string): boolean {
  const isThere = spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
  if (!isThere && process.env.PROCONSUL_REQUIRE_TOOLS === '1')
    throw new Error(`${name} must be installed here`);
  if (!isThere) process.stderr.write(`skipping tests that need ${name}: it is not installed\n`);
  return isThere;
}

/** Runs `dig` and returns its standard output, blanks at the ends removed. */
export function dig(...args: string[]): string {
  return execFileSync('dig', ['+time=5', '+tries=2', ...args], { encoding: 'utf8' }).trim();
}
