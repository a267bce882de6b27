import { expect, test } from 'vitest';
import { createLogger, formatLogJson, formatLogLine, type LogRecord, parseLogLevel } from './log.ts';

const record: LogRecord = {
  timeMs: Date.UTC(2026, 10, 21, 7, 14, 52, 7),
  level: 'INFO',
  name: 'agent.server.raft',
  message: 'entering leader state',
  fields: { leader: 'Node at 10.0.0.1:8300 [Leader]', term: 2, empty: '', absent: undefined },
};

test('a line has the level padded and values with blanks quoted', () => {
  expect(formatLogLine(record)).toBe(
    '2026-11-21T07:14:52.007Z [INFO]  agent.server.raft: entering leader state: leader="Node at 10.0.0.1:8300 [Leader]" term=2 empty=',
  );
});

test.each([
  ['/v1/kv/a?dc=dc1&raw', '/v1/kv/a?dc=dc1&raw'],
  ['say "hi"', '"say "hi""'],
  ['"hi"', '"hi"'],
  ['two\nlines', '"two\\nlines"'],
  ['a\x07b', 'a\\u0007b'],
])('the value %j is written %s', (value, written) => {
  expect(formatLogLine({ ...record, fields: { value } })).toMatch(/: value=/);
  expect(formatLogLine({ ...record, fields: { value } }).split(': value=')[1]).toBe(written);
});

test('local time carries a numeric offset', () => {
  expect(formatLogLine(record, 60)).toMatch(/^2026-11-21T08:14:52\.007\+0100 /);
  expect(formatLogLine(record, -210)).toMatch(/^2026-11-21T03:44:52\.007-0330 /);
});

test('the JSON form names level, message, module and time', () => {
  expect(JSON.parse(formatLogJson(record))).toEqual({
    '@level': 'info',
    '@message': 'entering leader state',
    '@module': 'agent.server.raft',
    '@timestamp': '2026-11-21T07:14:52.007000Z',
    leader: 'Node at 10.0.0.1:8300 [Leader]',
    term: 2,
    empty: '',
  });
});

test('levels are known in any case, err included', () => {
  expect(parseLogLevel('warn')).toBe('WARN');
  expect(parseLogLevel('err')).toBe('ERROR');
  expect(parseLogLevel('loud')).toBeUndefined();
});

test('a record reaches each sink that wants its level, under the dotted name', () => {
  const seen: string[] = [];
  const sink = (level: string) => ({
    wants: (wanted: string) => wanted === level,
    write: ({ name, message }: LogRecord) => void seen.push(`${level} ${name} ${message}`),
  });
  const log = createLogger('agent', [sink('INFO'), sink('WARN')], () => 0).named('http');
  log.info('one');
  log.warn('two');
  log.debug('three');
  expect(seen).toEqual(['INFO agent.http one', 'WARN agent.http two']);
  expect([log.isEnabled('INFO'), log.isEnabled('TRACE')]).toEqual([true, false]);
});
