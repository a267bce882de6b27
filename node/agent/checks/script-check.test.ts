import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { realEnv } from '../../../shared/env.ts';
import { scriptCheck } from './script-check.ts';

const run = (
  args: string[],
  timeoutMs = 10_000,
  outputMaxSize = 4096,
  signal = new AbortController().signal,
) => scriptCheck({ clock: realEnv.clock, args, timeoutMs, outputMaxSize })(signal);

const sh = (script: string) => ['sh', '-c', script];

describe('a script', () => {
  it.each([
    ['echo fine; echo more >&2', { status: 'passing', output: 'fine\nmore\n' }],
    ['echo hm; exit 1', { status: 'warning', output: 'hm\n' }],
    ['echo bad; exit 2', { status: 'critical', output: 'bad\n' }],
    ['exit 77', { status: 'critical', output: '' }],
    ['kill -9 $$', { status: 'critical', output: '' }],
  ])('%s', async (script, expected) => {
    expect(await run(sh(script))).toEqual(expected);
  });

  it('is run without a shell', async () => {
    expect((await run(['printf', '%s', '$HOME;x'])).output).toBe('$HOME;x');
  });

  it('gets the environment of the agent', async () => {
    expect((await run(sh('printf "%s" "$PATH"'))).output).toBe(process.env.PATH);
  });

  it('keeps the end of a long output and says so', async () => {
    const { output } = await run(sh('printf aaaaaaaaaabbbbb'), 10_000, 6);
    expect(output).toBe('Captured 6 of 15 bytes\n...\nabbbbb');
  });

  it('that does not exist is critical', async () => {
    expect(await run(['no-such-program-here'])).toEqual({
      status: 'critical',
      output: 'exec: "no-such-program-here": executable file not found in $PATH',
    });
    expect((await run(['/no/such/file'])).output).toBe('fork/exec /no/such/file: no such file or directory');
  });

  it('is killed at the time limit with everything it started', async () => {
    const result = await run(sh('echo started; sleep 600 & echo $!; sleep 600'), 300);
    expect(result.status).toBe('critical');
    const [first, blank, started, child] = result.output.split('\n');
    expect([first, blank, started]).toEqual(['Timed out (300ms) running check', '', 'started']);
    await expect.poll(() => isRunning(Number(child))).toBe(false);
  });

  it('is killed when the check is cancelled', async () => {
    const controller = new AbortController();
    const running = run(sh('sleep 600'), 60_000, 4096, controller.signal);
    controller.abort();
    expect((await running).status).toBe('critical');
  });
});

/** A killed process that init has not reaped yet counts as gone. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
}
