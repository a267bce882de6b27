import { expect, test } from 'vitest';
import { inNetworks } from './cidr.ts';

const isIn = inNetworks(['10.1.0.0/16', '192.0.2.7/32', '2001:db8::/32']);

test.each([
  ['10.1.255.1', true],
  ['10.2.0.1', false],
  ['192.0.2.7', true],
  ['192.0.2.8', false],
  ['2001:db8:1::1', true],
  ['2001:db9::1', false],
  ['n1', false],
  ['', false],
])('%s is in: %s', (address, expected) => {
  expect(isIn(address)).toBe(expected);
});

test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0/8', '/8', 'a/8', '::/129', '10.0.0.0/8/8'])(
  '%s is no network',
  (network) => {
    expect(() => inNetworks([network])).toThrow(`invalid CIDR address: ${network}`);
  },
);
