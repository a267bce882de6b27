import { Packr } from 'msgpackr';
import { beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import type { UserEvent } from '../../../shared/types/user-event.ts';
import type { Backend } from '../../rpc/backend.ts';
import { createEventLog, type EventLog, USER_EVENT_PREFIX } from './event-log.ts';
import { decodeUserEvent, encodeUserEvent } from './event-payload.ts';
import { fireUserEvent } from './fire-event.ts';

const EVENT: UserEvent = {
  id: 'cda1d83c-2b1e-4ac5-9d6f-0123456789ab',
  name: 'deploy',
  payload: Buffer.from('v2'),
  nodeFilter: '^n1$',
  serviceFilter: 'web',
  tagFilter: 'blue',
  version: 1,
  lTime: 7n,
};
const BARE: UserEvent = { ...EVENT, payload: null, nodeFilter: '', serviceFilter: '', tagFilter: '' };

describe('the payload', () => {
  test('is Consul’s map: short keys, short strings, binary, nothing empty', () => {
    const hex = Buffer.from(encodeUserEvent(EVENT)).toString('hex');
    const text = (value: string) => Buffer.from(value).toString('hex');
    expect(hex).toBe(
      [
        '87',
        `a2${text('ID')}d924${text(EVENT.id)}`,
        `a1${text('n')}a6${text('deploy')}`,
        `a1${text('p')}c402${text('v2')}`,
        `a2${text('nf')}a4${text('^n1$')}`,
        `a2${text('sf')}a3${text('web')}`,
        `a2${text('tf')}a4${text('blue')}`,
        `a1${text('v')}01`,
      ].join(''),
    );
    expect(encodeUserEvent(BARE)[0]).toBe(0x83);
  });

  test.each([
    ['everything', EVENT],
    ['the least', BARE],
  ])('with %s comes back', (_, event) => {
    const decoded = decodeUserEvent(encodeUserEvent(event), 7n);
    expect({ ...decoded, payload: decoded?.payload && Buffer.from(decoded.payload) }).toEqual(event);
  });

  test('the payload is a copy: the packet’s memory is used again', () => {
    const bytes = encodeUserEvent(EVENT);
    const decoded = decodeUserEvent(bytes, 1n);
    bytes.fill(0);
    expect(Buffer.from(decoded?.payload ?? []).toString()).toBe('v2');
  });

  const packr = new Packr({ useRecords: false });
  test.each([
    ['nothing', new Uint8Array(0)],
    ['no map', packr.pack('x')],
    ['no ID', packr.pack({ n: 'x', v: 1 })],
    ['an ID that is no UUID', packr.pack({ ID: 'x', n: 'x', v: 1 })],
    ['no name', packr.pack({ ID: EVENT.id, v: 1 })],
    ['a name that is a number', packr.pack({ ID: EVENT.id, n: 1 })],
    ['a map that claims to be huge', Buffer.from('dfffffffff', 'hex')],
    ['half of it', encodeUserEvent(EVENT).subarray(0, 50)],
  ])('%s is no event', (_, bytes) => {
    expect(decodeUserEvent(bytes, 1n)).toBeUndefined();
  });

  test('unknown fields are passed over', () => {
    const bytes = packr.pack({ x: { y: [1, 2] }, ID: EVENT.id, n: 'a', v: 1 });
    expect(decodeUserEvent(bytes, 1n)).toMatchObject({ name: 'a', lTime: 1n });
  });
});

describe('the log of events', () => {
  const services = new Map<string, { Tags: string[] | null }>();
  let events: EventLog;
  beforeEach(() => {
    services.clear();
    events = createEventLog({ nodeName: 'n1', services: () => services, log: silentLogger });
  });

  function hear(event: Partial<UserEvent>, name = `${USER_EVENT_PREFIX}x`): void {
    const payload = encodeUserEvent({ ...BARE, ...event });
    events.hear({ kind: 'user', lTime: 3n, name, payload });
  }

  test.each<[string, Partial<UserEvent>, boolean]>([
    ['no filter', {}, true],
    ['the node by part of its name', { nodeFilter: 'n' }, true],
    ['another node', { nodeFilter: '^n2$' }, false],
    ['a service by ID', { serviceFilter: 'web-.' }, true],
    ['another service', { serviceFilter: 'db' }, false],
    ['a service with the tag', { serviceFilter: 'web', tagFilter: '^blue$' }, true],
    ['a service without the tag', { serviceFilter: 'web', tagFilter: 'green' }, false],
    ['a tag of another service', { serviceFilter: 'api', tagFilter: 'blue' }, false],
    ['a filter that does not compile', { nodeFilter: '(' }, false],
    ['remote execution', { name: '_rexec' }, false],
  ])('%s', (_, event, isKept) => {
    services.set('web-1', { Tags: ['blue'] });
    services.set('api', { Tags: null });
    hear(event);
    expect(events.list().length).toBe(isKept ? 1 : 0);
  });

  test('keeps the newest 256, oldest first', () => {
    for (let i = 0; i < 300; i++) hear({ name: `e${i}` });
    const names = events.list().map(({ name }) => name);
    expect([names.length, names[0], names.at(-1)]).toEqual([256, 'e44', 'e299']);
    expect(events.list()[0]?.lTime).toBe(3n);
  });

  test('wakes who waits, once, and nobody for what is not for this node', () => {
    let woken = 0;
    events.onNext(() => woken++);
    const cancel = events.onNext(() => woken++);
    cancel();
    hear({ nodeFilter: 'other' });
    hear({}, 'consul:new-leader');
    events.hear({ kind: 'user', lTime: 1n, name: `${USER_EVENT_PREFIX}x`, payload: Buffer.from('junk') });
    expect(woken).toBe(0);
    hear({});
    hear({});
    expect(woken).toBe(1);
  });
});

describe('firing', () => {
  const { random } = simulatedEnv(1);
  const given = { name: 'deploy', payload: null, nodeFilter: '', serviceFilter: '', tagFilter: '' };
  const options = { datacenter: 'dc2', token: 't' };

  test('gives the event an identity and has a server spread it', async () => {
    const calls: unknown[][] = [];
    const backend = { write: async (...call: unknown[]) => void calls.push(call) } as unknown as Backend;
    const fired = await fireUserEvent(backend, random, given, options);
    expect(fired).toMatchObject({ ...given, version: 1, lTime: 0n });
    const [endpoint, args, asked] = calls[0] ?? [];
    expect([endpoint, asked]).toMatchObject([{ name: 'Internal.EventFire' }, options]);
    const { name, payload } = args as { name: string; payload: Uint8Array };
    expect(name).toBe('deploy');
    expect(decodeUserEvent(payload, 0n)).toEqual(fired);
  });

  test.each([
    [{ tagFilter: 'x' }, 'Cannot provide tag filter without service filter'],
    [{ nodeFilter: '[' }, 'Invalid node filter: error parsing regexp: missing closing ]: `[`'],
    [{ serviceFilter: '*' }, /^Invalid service filter: error parsing regexp: missing argument/],
    [{ serviceFilter: 'x', tagFilter: '(' }, /^Invalid tag filter: error parsing regexp: /],
  ])('%o is refused', async (filters, text) => {
    const backend = {} as Backend;
    await expect(fireUserEvent(backend, random, { ...given, ...filters }, options)).rejects.toThrow(text);
  });
});
