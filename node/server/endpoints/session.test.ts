import { beforeEach, describe, expect, it } from 'vitest';
import type { SessionCreateArgs } from '../../rpc/endpoints.ts';
import {
  catalogDeregister,
  catalogRegister,
  kvApply,
  kvGet,
  sessionCreate,
  sessionDestroy,
  sessionGet,
  sessionList,
  sessionNodeSessions,
} from '../../rpc/endpoints.ts';
import { Harness } from './harness.ts';
import { check, deregistration, kvWrite, registration, service, sessionArgs } from './samples.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
  harness.write(
    catalogRegister,
    registration('n1', {
      Service: service('web1', 'web'),
      Checks: [
        check('serfHealth', 'passing'),
        check('up', 'passing', { ServiceID: 'web1' }),
        check('bad', 'critical'),
      ],
    }),
  );
});

const create = (rest: Partial<SessionCreateArgs> = {}) =>
  harness.write(sessionCreate, sessionArgs('n1', { nodeChecks: ['serfHealth'], ...rest }));
const lock = (key: string, session: string) => harness.write(kvApply, kvWrite('lock', key, 'v', { session }));
const isAlive = (id: string) => harness.value(sessionGet, { id }).length === 1;

describe('a session', () => {
  it('has its keys in wire order', () => {
    const id = create({ name: 's', ttl: '1h', behavior: 'delete', serviceChecks: [] });
    expect(JSON.stringify(harness.value(sessionGet, { id }))).toBe(
      `[{"ID":"${id}","Name":"s","Node":"n1","LockDelay":15000000000,"Behavior":"delete","TTL":"1h",` +
        `"NodeChecks":["serfHealth"],"ServiceChecks":[],"CreateIndex":${harness.index},"ModifyIndex":${harness.index}}]`,
    );
    expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const old = create({ checks: ['serfHealth', 'up'] });
    expect(harness.value(sessionGet, { id: old })[0]).toMatchObject({
      Checks: ['serfHealth', 'up'],
      ServiceChecks: null,
      Behavior: 'release',
    });
  });

  it('is listed by ID, for all nodes or one', () => {
    const ids = [create(), create(), create()].sort();
    expect(harness.value(sessionList, {}).map(({ ID }) => ID)).toEqual(ids);
    expect(harness.value(sessionNodeSessions, { node: 'N1' }).map(({ ID }) => ID)).toEqual(ids);
    expect(harness.value(sessionNodeSessions, { node: 'n2' })).toEqual([]);
  });

  it('keeps a huge or negative lock delay as given', () => {
    const id = create({ lockDelayNs: -5e18 });
    expect(JSON.stringify(harness.value(sessionGet, { id })[0]?.LockDelay)).toBe('-5000000000000000000');
  });

  it.each([
    [{ node: '' }, 'Must provide Node'],
    [{ node: 'nope' }, 'Missing node registration'],
    [{ nodeChecks: ['nope'] }, "Missing check 'nope' registration"],
    [{ checks: ['nope'] }, "Missing check 'nope' registration"],
    [{ serviceChecks: [{ ID: 'nope', Namespace: '' }] }, "Missing check 'nope' registration"],
    [{ nodeChecks: ['bad'] }, "Check 'bad' is in critical state"],
    [{ behavior: 'explode' }, "Invalid Behavior setting 'explode'"],
    [{ ttl: 'abc' }, 'Session TTL \'abc\' invalid: time: invalid duration "abc"'],
    [{ ttl: '9s' }, "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]"],
    [{ ttl: '9999ms' }, "Invalid Session TTL '9999000000', must be between [10s=24h0m0s]"],
    [{ ttl: '86401s' }, "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"],
  ])('is refused with %j: %s', (rest, text) => {
    expect(harness.refusal(sessionCreate, sessionArgs('n1', rest))).toBe(`500 ${text}`);
    expect(harness.value(sessionList, {})).toEqual([]);
  });

  it.each(['10s', '24h', '0s', ''])('may have the TTL %j', (ttl) => {
    expect(isAlive(create({ ttl }))).toBe(true);
  });

  it('refuses junk IDs, accepts unknown ones', () => {
    const junk = '500 failed session lookup: index error: UUID must be 36 characters';
    expect(harness.refusal(sessionDestroy, { id: 'nonsense' })).toBe(junk);
    expect(() => harness.read(sessionGet, { id: 'nonsense' })).toThrow(junk.slice(4));
    const unknown = '3f6c9a2e-0000-4000-8000-111111111111';
    expect(harness.write(sessionDestroy, { id: unknown })).toBe(true);
    expect(harness.value(sessionGet, { id: unknown })).toEqual([]);
  });
});

describe('ending a session', () => {
  it('releases its keys and leaves others', () => {
    const [id, other] = [create(), create()];
    lock('a', id);
    lock('b', id);
    lock('c', other);
    harness.write(sessionDestroy, { id: id.toUpperCase() });
    expect(harness.value(kvGet, { key: 'a' })[0]).toMatchObject({ LockIndex: 1, ModifyIndex: harness.index });
    expect(harness.value(kvGet, { key: 'a' })[0]).not.toHaveProperty('Session');
    expect(harness.value(kvGet, { key: 'b' })[0]).not.toHaveProperty('Session');
    expect(harness.value(kvGet, { key: 'c' })[0]).toMatchObject({ Session: other });
  });

  it('deletes its keys when it is to, but not those that it has let go', () => {
    const id = create({ behavior: 'delete' });
    lock('a', id);
    lock('b', id);
    harness.write(kvApply, kvWrite('unlock', 'b', 'v', { session: id }));
    harness.write(sessionDestroy, { id });
    expect(harness.value(kvGet, { key: 'a' })).toEqual([]);
    expect(harness.value(kvGet, { key: 'b' })).toHaveLength(1);
  });

  const causes: readonly (readonly [string, Partial<SessionCreateArgs>, () => unknown])[] = [
    ['a node check turns critical', {}, () => register({ Check: check('serfHealth', 'critical') })],
    [
      'a service check turns critical',
      { serviceChecks: [{ ID: 'up', Namespace: '' }] },
      () => register({ Check: check('up', 'critical', { ServiceID: 'web1' }) }),
    ],
    ['a check of the old form does', { checks: ['up'] }, () => register({ Check: check('UP', 'critical') })],
    ['a check is removed', { nodeChecks: ['up'] }, () => deregister({ CheckID: 'up' })],
    ['its service is removed', { nodeChecks: ['up'] }, () => deregister({ ServiceID: 'web1' })],
    ['its node is removed', { nodeChecks: [] }, () => deregister({})],
  ];
  const register = (rest: object) => harness.write(catalogRegister, registration('n1', rest));
  const deregister = (rest: object) => harness.write(catalogDeregister, deregistration('n1', rest));

  it.each(causes)('happens when %s', (_, rest, cause) => {
    const id = create(rest);
    lock('k', id);
    cause();
    expect(isAlive(id)).toBe(false);
    expect(harness.value(kvGet, { key: 'k' })[0]).not.toHaveProperty('Session');
    expect(harness.store.tables.sessionsByCheck.size).toBe(0);
    expect(harness.store.tables.sessionsByNode.size).toBe(0);
    expect(harness.store.tables.kvBySession.size).toBe(0);
  });

  it('does not happen for a warning or for a check that it does not name', () => {
    const id = create();
    register({ Check: check('serfHealth', 'warning') });
    register({ Check: check('up', 'critical', { ServiceID: 'web1' }) });
    expect(isAlive(id)).toBe(true);
  });
});
