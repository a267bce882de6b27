import { expect, test } from 'vitest';
import { endToEndHeaders, sendableHeaders } from './http2-headers.ts';

test('a request loses its pseudo headers and gets its cookie together', () => {
  const headers = [':method', 'GET', 'cookie', 'a=1', 'x', 'y', ':path', '/', 'cookie', 'b=2', 'x', 'z'];
  expect(endToEndHeaders(headers)).toEqual(['cookie', 'a=1; b=2', 'x', 'y', 'x', 'z']);
});

test('an answer loses what is about the connection and keeps repeated names', () => {
  const headers = ['X-Consul-Index', '7', 'Connection', 'x', 'Keep-Alive', 'y', 'Vary', 'a', 'Vary', 'b'];
  expect(sendableHeaders(headers)).toEqual(['x-consul-index', '7', 'vary', 'a', 'vary', 'b']);
});
