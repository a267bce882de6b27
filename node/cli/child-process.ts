/** Runs what `lock`, `watch` and `exec` are given: through the user's shell or directly, with this process's output. */

import { type ChildProcess, spawn } from 'node:child_process';
import type { CliIo } from './command.ts';

export interface ChildSpec {
  /** Not empty. Joined by blanks for the shell. */
  readonly words: readonly string[];
  readonly isShell: boolean;
  /** Added to this process's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** What the child reads: nothing, this process's input, or a text. */
  readonly input: 'nothing' | 'inherited' | { readonly text: string };
}

export interface Child {
  readonly pid: number;
  /** Go's words for a failed end, `exit status 3` or `signal: killed`; undefined after success. */
  readonly ended: Promise<string | undefined>;
  /** Does nothing once the child has ended. */
  readonly signal: (name: NodeJS.Signals) => void;
}

/** @throws Error `exec: "x": executable file not found in $PATH`, `fork/exec x: permission denied` */
export async function startChild(spec: ChildSpec, io: CliIo): Promise<Child> {
  const [command = '', ...args] = spec.isShell ? shellWords(spec.words, io) : spec.words;
  const child = spawn(command, args, {
    env: { ...io.env, ...spec.env },
    stdio: [inputMode(spec), 'inherit', 'inherit'],
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('exit', (code, signal) => resolve(endText(code, signal)));
  });
  await started(child, command);
  if (typeof spec.input === 'object') {
    // A child that doesn't read its input is within its rights.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(spec.input.text);
  }
  return { pid: child.pid ?? 0, ended, signal: (name) => void child.kill(name) };
}

function shellWords(words: readonly string[], io: CliIo): string[] {
  return [io.env.SHELL || '/bin/sh', '-c', words.join(' ')];
}

function inputMode(spec: ChildSpec): 'ignore' | 'inherit' | 'pipe' {
  if (spec.input === 'nothing') return 'ignore';
  return spec.input === 'inherited' ? 'inherit' : 'pipe';
}

function started(child: ChildProcess, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === 'ENOENT' && !command.includes('/');
      const reason =
        error.code === 'ENOENT'
          ? 'no such file or directory'
          : error.code === 'EACCES'
            ? 'permission denied'
            : error.message;
      reject(
        new Error(
          isMissing
            ? `exec: ${JSON.stringify(command)}: executable file not found in $PATH`
            : `fork/exec ${command}: ${reason}`,
        ),
      );
    });
  });
}

const SIGNAL_WORDS: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGABRT: 'aborted',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGPIPE: 'broken pipe',
  SIGTERM: 'terminated',
};

function endText(code: number | null, signal: NodeJS.Signals | null): string | undefined {
  if (signal !== null) return `signal: ${SIGNAL_WORDS[signal] ?? signal}`;
  return code === 0 ? undefined : `exit status ${code}`;
}
