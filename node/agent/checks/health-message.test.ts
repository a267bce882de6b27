import { describe, expect, it } from 'vitest';
import { splitHostPort } from './go-errors.ts';
import { decodeHealthResponse, encodeHealthRequest } from './health-message.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('the health request', () => {
  it('is empty for the whole server', () => {
    expect(encodeHealthRequest('')).toEqual(bytes('00 00000000'));
  });
  it('names the service', () => {
    expect(encodeHealthRequest('web')).toEqual(bytes('00 00000005 0a 03 776562'));
  });
  it('takes long names', () => {
    const frame = encodeHealthRequest('x'.repeat(200));
    expect(frame.subarray(0, 8)).toEqual(bytes('00 000000cb 0a c801'));
  });
});

describe('the health response', () => {
  it.each([
    ['SERVING', '00 00000002 0801', 'SERVING'],
    ['NOT_SERVING', '00 00000002 0802', 'NOT_SERVING'],
    ['the default', '00 00000000', 'UNKNOWN'],
    ['fields of other versions before it', '00 0000000a 1203616263 1801 0801 00', undefined],
    ['an unknown text field first', '00 00000007 1203616263 0801', 'SERVING'],
    ['an unknown fixed field first', '00 00000007 1d00000000 0801', 'SERVING'],
    ['cut short', '00 00000005 0801', undefined],
    ['a length that runs over', '00 00000002 12ff', undefined],
    ['compressed', '01 00000002 0801', undefined],
    ['nothing', '', undefined],
  ])('%s', (_name, hex, expected) => {
    expect(decodeHealthResponse(bytes(hex))).toBe(expected);
  });
});

describe('host and port', () => {
  it.each([
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    [':80', { host: 'localhost', port: 80 }],
    ['web', { problem: 'address web: missing port in address' }],
    ['::1:80', { problem: 'address ::1:80: too many colons in address' }],
    ['a:99999', { problem: 'address 99999: invalid port' }],
  ])('%s', (text, expected) => {
    expect(splitHostPort(text)).toEqual(expected);
  });
});
