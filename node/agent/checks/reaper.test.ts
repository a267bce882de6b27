import { describe, expect, it } from 'vitest';
import { deregisterAfterMs, type ReapCandidate, servicesToReap } from './reaper.ts';

const candidate = (fields: Partial<ReapCandidate>): ReapCandidate => ({
  checkId: 'c',
  serviceId: 'web',
  criticalSinceMs: 0,
  deregisterAfterMs: 60_000,
  ...fields,
});

describe('the reaper', () => {
  it.each([
    ['critical for longer', candidate({}), 60_001, ['web']],
    ['critical for as long', candidate({}), 60_000, []],
    ['not critical', candidate({ criticalSinceMs: undefined }), 1e9, []],
    ['no limit', candidate({ deregisterAfterMs: 0 }), 1e9, []],
    ['a check of the node', candidate({ serviceId: '' }), 1e9, []],
  ])('%s', (_name, check, now, expected) => {
    expect([...servicesToReap([check], now).keys()]).toEqual(expected);
  });

  it('takes each service once', () => {
    const condemned = servicesToReap([candidate({ checkId: 'a' }), candidate({ checkId: 'b' })], 1e6);
    expect([...condemned]).toEqual([['web', 'a']]);
  });

  it('raises the limit to a minute', () => {
    expect([0, 1, 59_999, 60_000, 90_000].map(deregisterAfterMs)).toEqual([
      0, 60_000, 60_000, 60_000, 90_000,
    ]);
  });
});
