import { expect, test } from 'vitest';
import { randomUuid, realEnv } from '../../../shared/env.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { UserEvent } from '../../../shared/types/user-event.ts';
import type { ReadReply } from '../../rpc/backend.ts';
import type { ReadEndpoint } from '../../rpc/endpoint.ts';
import type { KvApplyArgs } from '../../rpc/endpoints.ts';
import { FakeBackend } from '../testing/fake-backend.ts';
import { readJob, readPlace } from './job.ts';
import { createRemoteExec } from './remote-exec.ts';
import { startJob } from './running-job.ts';

const NO_TIMERS = { nowMs: () => 0, monotonicMs: () => 0, setTimer: () => ({ cancel: () => undefined }) };

/** KV writes as `key value`, in order; the job lies where the event points. */
class KvBackend extends FakeBackend {
  job: unknown;

  override read<Args, Result>(_endpoint: ReadEndpoint<Args, Result>): Promise<ReadReply<Result>> {
    const Value = Buffer.from(JSON.stringify(this.job)).toString('base64');
    const meta = { index: 1, knownLeader: true, lastContactMs: 0 };
    return Promise.resolve({ meta, value: [{ Value }] as Result });
  }

  reports(): string[] {
    return this.writes.map(({ args }) => {
      const { key, value, verb, session } = args as KvApplyArgs;
      expect([verb, session]).toEqual(['lock', 's1']);
      return `${key} ${Buffer.from(value).toString()}`;
    });
  }
}

function eventWith(payload: string): UserEvent {
  const id = randomUuid(realEnv.random);
  const filters = { nodeFilter: '', serviceFilter: '', tagFilter: '' };
  return { id, name: '_rexec', payload: Buffer.from(payload), ...filters, version: 1, lTime: 1n };
}
const EVENT = eventWith('{"Prefix":"_rexec","Session":"s1"}');

async function reportsOf(job: unknown, count: number): Promise<string[]> {
  const backend = new KvBackend();
  backend.job = job;
  const written = Promise.withResolvers<void>();
  backend.delay = async () => {
    if (backend.writes.length === count) written.resolve();
  };
  createRemoteExec({
    nodeName: 'n1',
    backend,
    env: { clock: NO_TIMERS, random: realEnv.random },
    log: silentLogger,
  }).run(EVENT);
  await written.promise;
  return backend.reports();
}

test('a shell command is acknowledged, its output and its exit code are reported', async () => {
  expect(await reportsOf({ Command: 'echo out; echo err >&2; exit 3', Wait: 2e9 }, 3)).toEqual([
    '_rexec/s1/n1/ack ',
    expect.stringMatching(/^_rexec\/s1\/n1\/out\/00000 (out\nerr|err\nout)\n$/),
    '_rexec/s1/n1/exit 3',
  ]);
});

test('words run without a shell, scripts from a file of their own', async () => {
  expect((await reportsOf({ Args: ['printf', '%s', '$HOME'] }, 3))[1]).toBe('_rexec/s1/n1/out/00000 $HOME');
  const script = Buffer.from('#!/bin/sh\necho "from $0"\n').toString('base64');
  expect((await reportsOf({ Script: script }, 3))[1]).toMatch(/out\/00000 from .*\/script\n$/);
});

test('output comes in pieces of 4 KiB at most', async () => {
  const reports = await reportsOf({ Command: 'head -c 10000 /dev/zero | tr "\\\\0" x' }, 5);
  const pieces = reports.slice(1, -1).map((line) => line.replace(/^\S+ /, ''));
  expect(pieces.map((piece) => piece.length)).toEqual([4096, 4096, 1808]);
  expect(reports[3]).toMatch(/out\/00002 x/);
});

test('a command that can’t be started counts as 255', async () => {
  expect(await reportsOf({ Args: ['/no/such/program'] }, 2)).toEqual([
    '_rexec/s1/n1/ack ',
    '_rexec/s1/n1/exit 255',
  ]);
});

test('a lost session ends the command', async () => {
  const backend = new KvBackend();
  backend.job = { Command: 'echo x; sleep 600' };
  backend.refuse = () => undefined;
  const write = backend.write.bind(backend);
  backend.write = async (endpoint, args, options) => {
    const done = await write(endpoint, args, options);
    return (backend.writes.length < 2 ? done : false) as typeof done;
  };
  const ended = Promise.withResolvers<number>();
  createRemoteExec({
    nodeName: 'n1',
    backend,
    env: { clock: realEnv.clock, random: realEnv.random },
    log: silentLogger,
    start: async (job) => {
      const child = await startJob(job);
      void child.exitCode.then(ended.resolve);
      return child;
    },
  }).run(EVENT);
  expect(await ended.promise).toBe(255);
});

test('what is no job is told apart', () => {
  expect(readPlace(Buffer.from('{"Prefix":"p"}'))).toBeUndefined();
  expect(readPlace(Buffer.from('nonsense'))).toBeUndefined();
  expect(readPlace(null)).toBeUndefined();
  expect(readJob(Buffer.from('{"Args":[]}'))).toBeUndefined();
  expect(readJob(Buffer.from('{"Args":[1]}'))).toBeUndefined();
  expect(readJob(Buffer.from('[]'))).toBeUndefined();
  expect(readJob(Buffer.from('{"Command":"x","Wait":1}'))?.waitMs).toBe(100);
});
