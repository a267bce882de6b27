import { expect, test } from 'vitest';
import { asRemoteError, ConsulError, noClusterLeader, notFound, refused, toConsulError } from './errors.ts';

test('whether anything can have been applied follows from the code unless said otherwise', () => {
  expect(new ConsulError('outcome-unknown', 500, 'x').applied).toBe('unknown');
  expect(new ConsulError('timeout', 500, 'x').applied).toBe('unknown');
  expect(new ConsulError('timeout', 500, 'x', { applied: 'no' }).applied).toBe('no');
  expect(refused('x').applied).toBe('no');
});

test('a remote error carries the prefix once, whatever its text', () => {
  const once = asRemoteError(refused('Must provide node'));
  expect(once).toMatchObject({
    message: 'rpc error making call: Must provide node',
    status: 500,
    code: 'refused',
  });
  expect(asRemoteError(once)).toBe(once);
  expect(asRemoteError(noClusterLeader())).toMatchObject({
    message: 'rpc error making call: No cluster leader',
    code: 'no-leader',
    applied: 'no',
  });
  const bare = notFound();
  expect(asRemoteError(bare)).toBe(bare);
});

test('anything thrown becomes an error with status 500 and its words', () => {
  expect(toConsulError(new TypeError('boom'))).toMatchObject({
    status: 500,
    message: 'boom',
    code: 'internal',
  });
  expect(toConsulError('text')).toMatchObject({ message: 'text' });
});
