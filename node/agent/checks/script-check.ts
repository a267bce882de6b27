/** Script checks: a command whose exit code is the status: 0 passing, 1 warning, anything else critical. */

import { type ChildProcess, spawn } from 'node:child_process';
import { formatDurationMs } from '../../../shared/durations.ts';
import type { Clock } from '../../../shared/env.ts';
import { messageOf } from './go-errors.ts';
import { OutputBuffer } from './output-buffer.ts';
import { startTimeLimit } from './time-limit.ts';
import { type CheckProbe, type CheckResult, critical, passing, warning } from './types.ts';

export interface ScriptCheckOptions {
  readonly clock: Clock;
  /** Program and arguments, run without a shell; not empty. */
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly outputMaxSize: number;
}

/** How long a killed command may take to go before its run counts as ended all the same. */
const KILL_GRACE_MS = 5_000;

export function scriptCheck(options: ScriptCheckOptions): CheckProbe {
  const [program = '', ...args] = options.args;
  return (signal) =>
    new Promise<CheckResult>((resolve) => {
      const output = new OutputBuffer(options.outputMaxSize);
      let child: ChildProcess;
      try {
        // A group of its own, so that whatever the command started can be killed with it.
        child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
      } catch (error) {
        resolve(critical(startError(program, error)));
        return;
      }
      const limit = startTimeLimit(options.clock, options.timeoutMs, signal);
      let late: CheckResult | undefined;
      const end = (result: CheckResult) => {
        limit.release();
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve(late ?? result);
      };
      child.stdout?.on('data', (chunk: Uint8Array) => output.write(chunk));
      child.stderr?.on('data', (chunk: Uint8Array) => output.write(chunk));
      child.once('error', (error) => end(critical(startError(program, error))));
      child.once('close', (code) => end(resultOf(code, output)));
      const stop = () => {
        late = critical(timeoutText(options.timeoutMs, output));
        killGroup(child);
        // Something that left the group may hold the pipes open: the command's own end is enough then.
        child.once('exit', () => end(critical('')));
        options.clock.setTimer(KILL_GRACE_MS, () => end(critical('')));
      };
      if (limit.signal.aborted) stop();
      else limit.signal.addEventListener('abort', stop, { once: true });
    });
}

function resultOf(code: number | null, output: OutputBuffer): CheckResult {
  const text = output.textWithHeading();
  if (code === 0) return passing(text);
  return code === 1 ? warning(text) : critical(text);
}

function timeoutText(timeoutMs: number, output: OutputBuffer): string {
  const text = output.textWithHeading();
  const note = `Timed out (${formatDurationMs(timeoutMs)}) running check`;
  return text === '' ? note : `${note}\n\n${text}`;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already; its end is being reported.
  }
}

function startError(program: string, error: unknown): string {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  if (code === 'ENOENT')
    return program.includes('/')
      ? `fork/exec ${program}: no such file or directory`
      : `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
  if (code === 'EACCES') return `fork/exec ${program}: permission denied`;
  return messageOf(error);
}
