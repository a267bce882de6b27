import { describe, expect, it } from 'vitest';
import { addressOfReverseName, formatIp, parseIp, parseServerAddress } from './addresses.ts';
import { DEFAULT_DNS_CONFIG, serviceTtlSeconds } from './config.ts';

describe('TTL of services', () => {
  const config = {
    ...DEFAULT_DNS_CONFIG,
    serviceTtlMs: { web: 5000, 'w*': 7900, '*': 9000, 'we*b': 1000, 'wax-*': 2000 },
  };

  it.each([
    ['web', 5],
    ['wax', 7],
    ['wax-1', 2],
    ['we*b', 1],
    ['db', 9],
    ['constructor', 9],
  ])('of %s is %i', (service, seconds) => {
    expect(serviceTtlSeconds(config, service)).toBe(seconds);
  });

  it('is 0 without a key that fits', () => {
    expect(serviceTtlSeconds(DEFAULT_DNS_CONFIG, 'toString')).toBe(0);
  });
});

describe('addresses', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:2:0:3:0:4:0', '1:0:2:0:3:0:4:0'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['::', '::'],
    ['1::', '1::'],
  ])('%s is %s', (text, shown) => {
    const bytes = parseIp(text);
    expect(bytes && formatIp(bytes)).toBe(shown);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    'host',
    ':::',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'fe80::1%eth0',
    '1.2.3.4:53',
    '::1.2.3',
  ])('%j is none', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  it.each([
    ['4.3.2.1.in-addr.arpa', '1.2.3.4'],
    ['04.3.2.1.in-addr.arpa', undefined],
    ['3.2.1.in-addr.arpa', undefined],
    [`1.${'0.'.repeat(31)}ip6.arpa`, '::1'],
    [`g.${'0.'.repeat(31)}ip6.arpa`, undefined],
    ['1.2.ip6.arpa', undefined],
    ['arpa', undefined],
  ])('%s reverses %s', (text, address) => {
    expect(addressOfReverseName(text.split('.'))).toBe(address);
  });

  it.each([
    ['8.8.8.8', { host: '8.8.8.8', port: 53 }],
    ['8.8.8.8:5353', { host: '8.8.8.8', port: 5353 }],
    ['[::1]:5353', { host: '::1', port: 5353 }],
    ['[::1]', { host: '::1', port: 53 }],
    ['2001:db8::1', { host: '2001:db8::1', port: 53 }],
    ['dns.example.com', undefined],
    ['8.8.8.8:0', undefined],
    ['8.8.8.8:99999', undefined],
  ])('upstream %s', (text, parsed) => {
    expect(parseServerAddress(text)).toEqual(parsed);
  });
});
