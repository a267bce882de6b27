/** One child process of a local pool: started with its output kept, watched, and stopped for good. */

import { type ChildProcess, spawn } from 'node:child_process';

/** Bytes of output kept to explain a failure. */
const KEPT_OUTPUT = 64 * 1024;

export interface LocalProcess {
  readonly name: string;
  readonly pid: number;
  /** The newest part of standard output and error. */
  output(): string;
  /** Resolves with how it ended; the same promise each time. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  isRunning(): boolean;
  kill(signal: NodeJS.Signals): void;
  /** Asks with `signal`, waits for at most `graceMs`, then kills. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
}

export interface ProcessOptions {
  readonly name: string;
  /** Arguments after the Node executable. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A program and its arguments that replaces itself by the Node executable, such as `ip netns exec NAME`. */
  readonly wrapper?: readonly string[];
  /** Receives each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** @throws Error when the process cannot be started */
export function startProcess(options: ProcessOptions): LocalProcess {
  const [program = process.execPath, ...args] = [
    ...(options.wrapper ?? []),
    process.execPath,
    ...options.args,
  ];
  const child: ChildProcess = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...withoutConsulVariables(process.env), ...options.env },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${options.name} could not be started`);
  let kept = '';
  const keep = (chunk: Buffer) => {
    const text = chunk.toString();
    kept = (kept + text).slice(-KEPT_OUTPUT);
    options.onOutput?.(text);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    name: options.name,
    pid,
    output: () => kept,
    exited,
    isRunning,
    kill: (signal) => void child.kill(signal),
    async stop(signal = 'SIGTERM', graceMs = 10_000) {
      if (!isRunning()) return;
      child.kill(signal);
      const limit = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(limit);
    },
  };
}

/** Variables that would steer the children elsewhere. */
function withoutConsulVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([key]) => !/^(?:CONSUL|GATEWAY)_/.test(key)));
}
