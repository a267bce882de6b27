/** `lock`: runs a command while a lock, or a place in a semaphore, is held. */

import { parseDurationMs } from '../../../../shared/durations.ts';
import type { ParsedFlags } from '../../../config/flags.ts';
import type { ApiClient } from '../../api-client.ts';
import { type Child, startChild } from '../../child-process.ts';
import { clientCommand, reachAgent } from '../../client-command.ts';
import type { CliIo } from '../../command.ts';
import { boolFlag, intFlag, messageOf, textFlag } from '../../flag-access.ts';
import { pause } from '../../pause.ts';
import { type Holdable, LOCK_SUFFIX } from './holdable.ts';
import { createKeyLock } from './key-lock.ts';
import { createSemaphore } from './semaphore.ts';

const KILL_GRACE_MS = 5000;
const DEFAULT_MONITOR_RETRIES = 3;
/** With `-child-exit-code`. */
const EXIT_CHILD_FAILED = 2;

export const lockCommand = clientCommand({
  synopsis: 'Execute a command holding a lock',
  usage: `Usage: consul lock [options] prefix child...

  Acquires a lock or semaphore at a given path, and invokes a child process
  when successful. The child process can assume the lock is held while it
  executes. If the lock is lost or communication is disrupted the child
  process will be sent a SIGTERM signal and given time to gracefully exit.
  After the grace period expires the process will be hard terminated.

  For Consul agents on different hosts, the same prefix means the same lock.
  With -n=1, only a single lock holder can exist at a given prefix; a larger
  -n makes it a semaphore that so many hold at once.

      $ consul lock backup ./backup.sh`,
  flags: [
    {
      name: 'child-exit-code',
      kind: 'bool',
      usage: 'Exit 2 if the child process exited with an error. Default: errors are only reported.',
    },
    {
      name: 'monitor-retry',
      kind: 'int',
      usage:
        'Number of times to retry, a second apart, if Consul returns a 500 error while the lock is watched. Default 3.',
    },
    {
      name: 'n',
      kind: 'int',
      usage: 'Number of lock holders: 1 is a lock, more is a semaphore. Default 1.',
    },
    { name: 'name', kind: 'string', usage: 'Name of the session. Default: made from the child command.' },
    { name: 'pass-stdin', kind: 'bool', usage: 'Pass standard input to the child process.' },
    {
      name: 'shell',
      kind: 'bool',
      usage: 'Use a shell to run the child. The default; -shell=false runs it directly.',
    },
    {
      name: 'timeout',
      kind: 'duration',
      usage: 'Maximum time to wait for the lock, such as 30s. Default: for ever.',
    },
    { name: 'try', kind: 'duration', usage: 'Deprecated. Use -timeout.' },
    { name: 'verbose', kind: 'bool', usage: 'Say what happens.' },
  ],
  takesServerFlags: true,
  async run(client, flags, io) {
    const settings = settingsOf(flags);
    if (typeof settings === 'string') {
      io.err(`${settings}\n`);
      return 1;
    }
    if ((await reachAgent(client, io)) === undefined) return 1;
    return holdAndRun(client, settings, io);
  },
});

interface LockSettings {
  readonly prefix: string;
  readonly words: readonly string[];
  readonly limit: number;
  readonly timeoutMs: number;
  readonly monitorRetries: number;
  readonly sessionName: string;
  readonly isShell: boolean;
  readonly passesStdin: boolean;
  readonly isVerbose: boolean;
  readonly reportsChildFailure: boolean;
}

/** @returns the error text when the arguments make no sense */
function settingsOf(flags: ParsedFlags): LockSettings | string {
  const [givenPrefix = '', ...words] = flags.rest;
  const limit = intFlag(flags, 'n') ?? 1;
  const monitorRetries = intFlag(flags, 'monitor-retry') ?? DEFAULT_MONITOR_RETRIES;
  const timeoutMs = parseDurationMs(textFlag(flags, 'try') || textFlag(flags, 'timeout', '0s'));
  if (monitorRetries < 0) return "Number for 'monitor-retry' must be >= 0";
  if (limit < 1) return 'Lock holder limit must be positive';
  if (words.length === 0) return 'Key prefix and child command must be specified';
  if (timeoutMs < 0) return 'Timeout must be positive';
  const prefix = givenPrefix.replace(/^\//, '');
  if (limit > 1 && prefix === '') return 'Lock setup failed: missing prefix';
  return {
    prefix,
    words,
    limit,
    timeoutMs,
    monitorRetries,
    sessionName: textFlag(flags, 'name') || `Consul lock for '${words.join(' ')}' at '${prefix}'`,
    isShell: !flags.values.has('shell') || boolFlag(flags, 'shell'),
    passesStdin: boolFlag(flags, 'pass-stdin'),
    isVerbose: boolFlag(flags, 'verbose'),
    reportsChildFailure: boolFlag(flags, 'child-exit-code'),
  };
}

async function holdAndRun(client: ApiClient, settings: LockSettings, io: CliIo): Promise<number> {
  const say = (text: string) => {
    if (settings.isVerbose) io.out(`${text}\n`);
  };
  const holdable = setUp(client, settings, io, say);
  say('Attempting lock acquisition');
  let lost: AbortSignal | undefined;
  try {
    lost = await holdable.acquire(io.interrupted);
  } catch (error) {
    io.err(`Lock acquisition failed: ${messageOf(error)}\n`);
    return 1;
  }
  if (lost === undefined) {
    io.err('Shutdown triggered or timeout during lock acquisition\n');
    return 1;
  }
  const isChildOk = await runChild(settings, lost, io, say);
  const problem = await giveBack(holdable, say);
  if (problem !== undefined) {
    io.err(`${problem}\n`);
    return 1;
  }
  return isChildOk || !settings.reportsChildFailure ? 0 : EXIT_CHILD_FAILED;
}

function setUp(client: ApiClient, settings: LockSettings, io: CliIo, say: (text: string) => void): Holdable {
  const { limit } = settings;
  const prefix = settings.prefix.replace(/\/+$/, '');
  if (limit === 1) {
    const key = `${prefix}/${LOCK_SUFFIX}`.replace(/^\//, '');
    say(`Setting up lock at path: ${key}`);
    return createKeyLock(client, key, settings, io.clock);
  }
  say(`Setting up semaphore (limit ${limit}) at prefix: ${settings.prefix}`);
  return createSemaphore(client, prefix, limit, settings, io.clock);
}

/** Ends the child early when the lock is lost or the user interrupts. @returns whether it succeeded */
async function runChild(
  settings: LockSettings,
  lost: AbortSignal,
  io: CliIo,
  say: (text: string) => void,
): Promise<boolean> {
  say('Starting handler');
  if (settings.passesStdin) say('Stdin passed to handler process');
  let child: Child;
  try {
    child = await startChild(
      {
        words: settings.words,
        isShell: settings.isShell,
        env: { CONSUL_LOCK_HELD: 'true' },
        input: settings.passesStdin ? 'inherited' : 'nothing',
      },
      io,
    );
  } catch (error) {
    io.err(`Error starting handler: ${messageOf(error)}\n`);
    return false;
  }
  const ending = AbortSignal.any([lost, io.interrupted]);
  const failure = child.ended.then((text) => {
    if (text !== undefined) io.err(`Error running handler: ${text}\n`);
    return text;
  });
  const isEndedItself = await Promise.race([failure.then(() => true), aborted(ending).then(() => false)]);
  if (isEndedItself) {
    say('Child terminated, releasing lock');
    return (await failure) === undefined;
  }
  say(lost.aborted ? 'Lock lost, killing child' : 'Shutdown triggered, killing child');
  await endChild(child, io, say);
  return (await failure) === undefined;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function endChild(child: Child, io: CliIo, say: (text: string) => void): Promise<void> {
  say(`Terminating child pid ${child.pid}`);
  child.signal('SIGTERM');
  const graceOver = new AbortController();
  const isEnded = await Promise.race([
    child.ended.then(() => true),
    pause(io.clock, KILL_GRACE_MS, graceOver.signal).then(() => false),
  ]);
  graceOver.abort();
  if (isEnded) {
    say('Child terminated');
    return;
  }
  say(`Child did not exit after grace period of ${KILL_GRACE_MS / 1000}s`);
  say(`Killing child pid ${child.pid}`);
  child.signal('SIGKILL');
  await child.ended;
}

/** @returns what went wrong */
async function giveBack(holdable: Holdable, say: (text: string) => void): Promise<string | undefined> {
  try {
    await holdable.release();
  } catch (error) {
    return `Lock release failed: ${messageOf(error)}`;
  }
  try {
    say((await holdable.cleanUp()) ? 'Cleanup succeeded' : 'Cleanup aborted, lock in use');
  } catch (error) {
    return `Lock cleanup failed: ${messageOf(error)}`;
  }
  return undefined;
}
