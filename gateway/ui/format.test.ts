import { expect, test } from 'vitest';
import { matchesFilter } from './filter.ts';
import {
  byName,
  byteSize,
  counted,
  countStatuses,
  hostPort,
  seconds,
  shellWord,
  worstStatus,
} from './format.ts';

test('the worst state wins, none is without checks', () => {
  expect(worstStatus({ passing: 9, warning: 1, critical: 1 })).toBe('critical');
  expect(worstStatus({ passing: 9, warning: 1, critical: 0 })).toBe('warning');
  expect(worstStatus({ passing: 1, warning: 0, critical: 0 })).toBe('passing');
  expect(worstStatus(countStatuses([]))).toBe('none');
});

test('an unknown state counts as critical', () => {
  expect(countStatuses(['passing', 'warning', 'maintenance', 'critical'])).toEqual({
    passing: 1,
    warning: 1,
    critical: 2,
  });
});

test('numbers in words', () => {
  expect([counted(0, 'node'), counted(1, 'node'), counted(1200, 'node')]).toEqual([
    '0 nodes',
    '1 node',
    '1,200 nodes',
  ]);
  expect(counted(2, 'entry', 'entries')).toBe('2 entries');
  expect([0, 1, 1023, 1024, 1536, 524_288, 1_048_576].map(byteSize)).toEqual([
    '0 bytes',
    '1 byte',
    '1,023 bytes',
    '1 KiB',
    '1.5 KiB',
    '512 KiB',
    '1 MiB',
  ]);
  expect([seconds(1), seconds(1000), seconds(-5)]).toEqual(['1 s', '1 s', '0 s']);
});

test('addresses', () => {
  expect(hostPort('10.0.0.1', 80)).toBe('10.0.0.1:80');
  expect(hostPort('::1', 80)).toBe('[::1]:80');
  expect(hostPort('10.0.0.1', 0)).toBe('10.0.0.1');
});

test('names are ordered as people count', () => {
  expect(['web-10', 'web-2', 'Api'].sort(byName)).toEqual(['Api', 'web-2', 'web-10']);
});

test('a command line survives any name', () => {
  expect(shellWord('http://h:1/v1/kv/a')).toBe('http://h:1/v1/kv/a');
  expect(shellWord("it's $HOME")).toBe("'it'\\''s $HOME'");
});

test('every word of a filter must be found, in its field if it names one', () => {
  const item = { name: ['web-frontend'], tag: ['v2', 'Rails'] };
  expect(
    ['', '  ', 'WEB', 'rails web', 'tag:v2', 'name:web tag:rails'].map((f) => matchesFilter(f, item)),
  ).toEqual(Array(6).fill(true));
  expect(['web db', 'name:v2', 'tag:web', 'port:80'].map((f) => matchesFilter(f, item))).toEqual(
    Array(4).fill(false),
  );
  expect(matchesFilter('a:b', { name: ['a:b'] })).toBe(true);
});
