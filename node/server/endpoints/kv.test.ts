import { beforeEach, describe, expect, it } from 'vitest';
import type { KvApplyArgs, KvVerb } from '../../rpc/endpoints.ts';
import {
  catalogRegister,
  kvApply,
  kvGet,
  kvList,
  kvListKeys,
  sessionCreate,
  sessionDestroy,
} from '../../rpc/endpoints.ts';
import { reapTombstonesCommand } from '../commands.ts';
import { Harness } from './harness.ts';
import { kvWrite, registration, sessionArgs } from './samples.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
  harness.write(catalogRegister, registration('n1'));
});

const put = (verb: KvVerb, key: string, value = '', rest: Partial<KvApplyArgs> = {}) =>
  harness.write(kvApply, kvWrite(verb, key, value, rest));
const entry = (key: string) => harness.value(kvGet, { key })[0];
const newSession = (rest = {}) =>
  harness.write(sessionCreate, sessionArgs('n1', { lockDelayNs: 1e6, ...rest }));

describe('an entry', () => {
  it('has its keys in wire order, its value in base64, and null for an empty one', () => {
    put('set', 'k', 'hello', { flags: 42 });
    expect(JSON.stringify(entry('k'))).toBe(
      `{"LockIndex":0,"Key":"k","Flags":42,"Value":"aGVsbG8=","CreateIndex":${harness.index},"ModifyIndex":${harness.index}}`,
    );
    put('set', 'k');
    expect(entry('k')).toMatchObject({ Value: null, Flags: 0 });
  });

  it('keeps its CreateIndex through updates but not through deletion', () => {
    put('set', 'k', 'one');
    const created = harness.index;
    put('set', 'k', 'two');
    expect(entry('k')).toMatchObject({ CreateIndex: created, ModifyIndex: harness.index });
    put('delete', 'k');
    put('set', 'k', 'three');
    expect(entry('k')).toMatchObject({ CreateIndex: harness.index });
  });

  it('is not changed by an identical write', () => {
    put('set', 'k', 'same', { flags: 7 });
    const written = harness.index;
    put('set', 'k', 'same', { flags: 7 });
    expect(entry('k')).toMatchObject({ ModifyIndex: written });
    put('set', 'k', 'same', { flags: 8 });
    expect(entry('k')).toMatchObject({ ModifyIndex: harness.index });
  });
});

describe('check-and-set', () => {
  it('with 0 writes only what is new, with N only what is at N', () => {
    expect(put('cas', 'k', 'new')).toBe(true);
    expect(put('cas', 'k', 'again')).toBe(false);
    const index = harness.value(kvGet, { key: 'k' })[0]?.ModifyIndex ?? 0;
    expect(put('cas', 'k', 'stale', { index: 1 })).toBe(false);
    expect(put('cas', 'k', 'good', { index })).toBe(true);
    expect(put('cas', 'k', 'used up', { index })).toBe(false);
    expect(put('cas', 'missing', 'no', { index: 12345 })).toBe(false);
    expect(put('cas', 'k', 'huge', { index: 2n ** 63n })).toBe(false);
    expect(entry('missing')).toBeUndefined();
  });

  it('deletes what is at N or missing, and nothing with 0', () => {
    put('set', 'k', 'x');
    const index = harness.index;
    expect(put('delete-cas', 'k', '', { index: 1 })).toBe(false);
    expect(put('delete-cas', 'k', '', { index: 0 })).toBe(false);
    expect(put('delete-cas', 'k', '', { index })).toBe(true);
    expect(entry('k')).toBeUndefined();
    expect(put('delete-cas', 'k', '', { index })).toBe(true);
  });
});

describe('locks', () => {
  it('follow the recorded exchange of two sessions', () => {
    const [s1, s2] = [newSession(), newSession()];
    const key = 'lock';
    expect(put('lock', key, 'mine', { session: s1 })).toBe(true);
    expect(entry(key)).toMatchObject({ LockIndex: 1, Session: s1 });
    expect(put('lock', key, 'theirs', { session: s2 })).toBe(false);
    expect(put('lock', key, 'mine again', { session: s1 })).toBe(true);
    expect(entry(key)).toMatchObject({ LockIndex: 1, Session: s1, ModifyIndex: harness.index });
    put('set', key, 'plain write');
    expect(entry(key)).toMatchObject({ LockIndex: 0, Session: s1, Value: btoa('plain write') });
    expect(put('unlock', key, 'not the holder', { session: s2 })).toBe(false);
    expect(put('unlock', key, 'free', { session: s1 })).toBe(true);
    expect(entry(key)).toMatchObject({ LockIndex: 0, Value: btoa('free') });
    expect(entry(key)).not.toHaveProperty('Session');
    expect(put('unlock', key, 'free twice', { session: s1 })).toBe(false);
    expect(put('lock', key, 'theirs now', { session: s2 })).toBe(true);
    expect(entry(key)).toMatchObject({ LockIndex: 1, Session: s2 });
  });

  it('count up with every acquisition after a release', () => {
    const session = newSession();
    for (const count of [1, 2, 3]) {
      put('lock', 'k', '', { session });
      expect(entry('k')).toMatchObject({ LockIndex: count });
      put('unlock', 'k', '', { session });
    }
  });

  it.each([
    ['lock', 'not-a-session', '500 failed session lookup: index error: UUID must be 36 characters'],
    [
      'lock',
      '3f6c9a2e-0000-4000-8000-5f5f5f5f5f5f',
      '500 invalid session "3f6c9a2e-0000-4000-8000-5f5f5f5f5f5f"',
    ],
    ['lock', '', '500 missing session'],
    ['unlock', '', '500 missing session'],
    ['unlock', 'not-a-session', undefined],
  ] as const)('%s with session %j: %s', (verb, session, expected) => {
    expect(harness.refusal(kvApply, kvWrite(verb, 'k', 'v', { session }))).toBe(expected);
    expect(entry('k')).toBeUndefined();
  });

  it('cannot be taken for the lock delay after their session ended, at most a minute', () => {
    for (const [lockDelayNs, delayMs] of [
      [1e9, 1000],
      [3600e9, 60_000],
    ] as const) {
      const key = `k${delayMs}`;
      const ended = newSession({ lockDelayNs });
      const next = newSession();
      put('lock', key, 'a', { session: ended });
      harness.write(sessionDestroy, { id: ended });
      harness.env.clock.advance(delayMs - 1);
      expect(put('lock', key, 'too early', { session: next })).toBe(false);
      expect(put('set', key, 'a plain write is free')).toBe(true);
      harness.env.clock.advance(2);
      expect(put('lock', key, 'now', { session: next })).toBe(true);
    }
  });

  it('have no delay after a release, or when the session has none', () => {
    const [first, second] = [newSession(), newSession({ lockDelayNs: 0 })];
    put('lock', 'k', '', { session: first });
    put('unlock', 'k', '', { session: first });
    expect(put('lock', 'k', '', { session: second })).toBe(true);
    harness.write(sessionDestroy, { id: second });
    expect(put('lock', 'k', '', { session: first })).toBe(true);
  });

  it('are not held up for long by a clock that was set back', () => {
    const [ended, next] = [newSession({ lockDelayNs: 10e9 }), newSession()];
    const write = kvWrite('lock', 'k', '', { session: ended });
    harness.apply({ type: 'kv', ...write, nowMs: 0 });
    harness.apply({ type: 'session-destroy', id: ended, nowMs: 10_000_000 });
    expect(harness.apply({ type: 'kv', ...write, session: next, nowMs: 10_005_000 })).toBe(false);
    expect(harness.apply({ type: 'kv', ...write, session: next, nowMs: 9_000_000 })).toBe(true);
  });

  it('forget delays that are over when tombstones are reaped', () => {
    const session = newSession({ lockDelayNs: 1e9 });
    put('lock', 'k', '', { session });
    harness.write(sessionDestroy, { id: session });
    const now = harness.env.clock.nowMs();
    harness.apply(reapTombstonesCommand(0, now));
    expect(harness.store.tables.lockDelays.size).toBe(1);
    harness.apply(reapTombstonesCommand(0, now + 1000));
    expect(harness.store.tables.lockDelays.size).toBe(0);
  });
});

describe('lists', () => {
  const all = ['web/1', 'web/2/port', 'web/2/host', 'web', 'webs', 'zed/', '\u{10000}', '\uffff', 'é/é/é'];

  it.each([
    ['', '', ['web', 'web/1', 'web/2/host', 'web/2/port', 'webs', 'zed/', 'é/é/é', '\uffff', '\u{10000}']],
    ['', '/', ['web', 'web/', 'webs', 'zed/', 'é/', '\uffff', '\u{10000}']],
    ['web', '/', ['web', 'web/', 'webs']],
    ['web/', '/', ['web/1', 'web/2/']],
    ['web/2/', 'o', ['web/2/ho', 'web/2/po']],
    ['é/', 'é', ['é/é']],
    ['nothing', '/', []],
  ])('of keys under %j with separator %j', (prefix, separator, expected) => {
    for (const key of all) put('set', key, 'x');
    expect(harness.value(kvListKeys, { prefix, separator })).toEqual(expected);
  });

  it('of entries match the prefix as text', () => {
    for (const key of all) put('set', key, 'x');
    expect(harness.value(kvList, { prefix: 'web/' }).map(({ Key }) => Key)).toEqual([
      'web/1',
      'web/2/host',
      'web/2/port',
    ]);
    put('delete-tree', 'web/');
    expect(harness.value(kvList, { prefix: 'web' }).map(({ Key }) => Key)).toEqual(['web', 'webs']);
    put('delete-tree', '');
    expect(harness.value(kvList, { prefix: '' })).toEqual([]);
  });
});

it('a key is required except for a tree', () => {
  expect(harness.refusal(kvApply, kvWrite('set', '', 'x'))).toBe('500 Must provide key');
});
