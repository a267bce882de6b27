/** A command under way: its output in pieces that fit a key, a sign of life when it is silent, its exit code. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../../shared/env.ts';
import type { Job } from './job.ts';

export interface RunningJob {
  /**
   * The next piece of output: at most 4 KiB, at the latest 500 ms after its first byte; empty when nothing came
   * for `silenceMs`; `ended` once all has been read and the command is over.
   */
  next(clock: Clock, silenceMs: number): Promise<Uint8Array | 'ended'>;
  /** Resolves when the command is over; one that a signal ended counts as 255. */
  readonly exitCode: Promise<number>;
  /** Kills the command and whatever it started. */
  kill(): void;
}

const PIECE_BYTES = 4096;
const PIECE_MS = 500;
/** Unread output beyond this stops the command until it is read. */
const MAX_UNREAD_BYTES = 16 * PIECE_BYTES;
const EXIT_BY_SIGNAL = 255;

/** @throws the system's error when the command can't be started */
export async function startJob(job: Job): Promise<RunningJob> {
  if (job.kind === 'direct') return started(spawnGroup(job.args[0], job.args.slice(1)), nothingToRemove);
  const shell = process.env.SHELL || '/bin/sh';
  if (job.kind === 'shell') return started(spawnGroup(shell, ['-c', job.command]), nothingToRemove);
  const folder = await mkdtemp(join(tmpdir(), 'rexec-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'script');
    await writeFile(path, job.script, { mode: 0o750 });
    return await started(spawnGroup(shell, ['-c', path]), remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

const nothingToRemove = () => Promise.resolve();

function spawnGroup(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function started(child: ChildProcess, remove: () => Promise<void>): Promise<RunningJob> {
  const output = collectOutput(child);
  const exitCode = new Promise<number>((resolve) => {
    child.once('close', (code) => {
      resolve(code ?? EXIT_BY_SIGNAL);
      // A script file that stays behind does no harm.
      void remove().catch(() => undefined);
    });
  });
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  return { next: output.next, exitCode, kill: () => killGroup(child) };
}

/** Invariant: the streams are paused exactly while more than MAX_UNREAD_BYTES lie unread. */
function collectOutput(child: ChildProcess): Pick<RunningJob, 'next'> {
  let unread: Uint8Array = new Uint8Array(0);
  let hasEnded = false;
  let wake = () => {};
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  for (const stream of streams) {
    stream.on('data', (chunk: Uint8Array) => {
      unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
      if (unread.length > MAX_UNREAD_BYTES) for (const each of streams) each.pause();
      wake();
    });
  }
  child.once('close', () => {
    hasEnded = true;
    wake();
  });

  /** Resolves after `limitMs`, or earlier when the condition holds. */
  function until(clock: Clock, limitMs: number, isReached: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        wake = () => {};
        timer.cancel();
        resolve();
      };
      const timer = clock.setTimer(limitMs, done);
      wake = () => {
        if (isReached()) done();
      };
      wake();
    });
  }

  return {
    async next(clock, silenceMs) {
      await until(clock, silenceMs, () => unread.length > 0 || hasEnded);
      if (unread.length > 0) await until(clock, PIECE_MS, () => unread.length >= PIECE_BYTES || hasEnded);
      if (unread.length === 0 && hasEnded) return 'ended';
      const piece = unread.subarray(0, PIECE_BYTES);
      unread = unread.subarray(piece.length);
      if (unread.length <= MAX_UNREAD_BYTES) for (const stream of streams) stream.resume();
      return piece;
    },
  };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already; its end is being reported.
  }
}
