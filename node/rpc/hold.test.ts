import { describe, expect, test } from 'vitest';
import { badRequest, ConsulError, type ErrorCode, noClusterLeader, refused } from '../../shared/errors.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { Hold } from './hold.ts';
import { connectionLost, mayRetry, unreachable } from './rpc-errors.ts';

const notLeader = new ConsulError('not-leader', 500, 'node is not the leader');

describe('mayRetry', () => {
  test.each<[string, ConsulError, boolean, boolean]>([
    ['nobody leads', noClusterLeader(), true, true],
    ['somebody else leads', notLeader, true, true],
    ['the peer was not reached', unreachable('connection refused'), true, true],
    ['the connection broke after the write', connectionLost('EOF'), true, false],
    ['leadership was lost while committing', new ConsulError('outcome-unknown', 500, 'x'), true, false],
    ['the peer shuts down', new ConsulError('shutting-down', 500, 'x'), true, true],
    ['validation refused', refused('Must provide node'), false, false],
    ['the request is bad', badRequest('x'), false, false],
    ['something broke', new ConsulError('internal', 500, 'x'), false, false],
  ])('%s', (_name, error, read, write) => {
    expect([mayRetry(error, 'read'), mayRetry(error, 'write')]).toEqual([read, write]);
  });
});

describe('Hold', () => {
  test('allows retries for the hold time, then says that there is no leader', () => {
    const env = simulatedEnv(1);
    const hold = new Hold(env, 7000);
    hold.beginAttempt();
    hold.checkRetry(notLeader, 'write');
    env.clock.advance(6999);
    hold.beginAttempt();
    hold.checkRetry(notLeader, 'write');
    env.clock.advance(1);
    hold.beginAttempt();
    expect(() => hold.checkRetry(notLeader, 'write')).toThrow('No cluster leader');
  });

  test('shows the last failure when the leader was known but not reached', () => {
    const env = simulatedEnv(1);
    const hold = new Hold(env, 7000);
    env.clock.advance(7000);
    hold.beginAttempt();
    expect(() => hold.checkRetry(unreachable('refused'), 'read')).toThrow('failed to get conn: refused');
  });

  test('a blocking attempt that lasted long begins a new run of failures', () => {
    const env = simulatedEnv(1);
    const hold = new Hold(env, 7000, true);
    hold.beginAttempt();
    env.clock.advance(60_000);
    hold.checkRetry(connectionLost('EOF'), 'read');
    env.clock.advance(6000);
    hold.beginAttempt();
    hold.checkRetry(notLeader, 'read');
    env.clock.advance(1000);
    hold.beginAttempt();
    expect(() => hold.checkRetry(notLeader, 'read')).toThrow('No cluster leader');
  });

  test('any other attempt that lasted long was the last', () => {
    const env = simulatedEnv(1);
    const hold = new Hold(env, 7000);
    hold.beginAttempt();
    env.clock.advance(9000);
    expect(() => hold.checkRetry(notLeader, 'write')).toThrow('No cluster leader');
  });

  test('passes on at once what must not be retried', () => {
    const codes: ErrorCode[] = ['refused', 'bad-request', 'permission-denied', 'internal', 'timeout'];
    for (const code of codes) {
      const error = new ConsulError(code, 500, code);
      expect(() => new Hold(simulatedEnv(1), 7000).checkRetry(error, 'read')).toThrow(error);
    }
  });
});
