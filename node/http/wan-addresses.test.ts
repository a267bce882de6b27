import { expect, test } from 'vitest';
import { DEFAULT_HTTP_CONFIG } from './options.ts';
import { translatesWan, withWanAddresses } from './wan-addresses.ts';

const NODE = {
  Node: 'n',
  Address: '10.0.0.1',
  TaggedAddresses: { lan: '10.0.0.1', wan: '203.0.113.1', lan_ipv4: '10.0.0.1', wan_ipv4: '203.0.113.2' },
};
const SERVICE = {
  ID: 'web',
  Address: '10.0.0.9',
  Port: 80,
  Tags: ['wan'],
  TaggedAddresses: { wan: { Address: '203.0.113.9', Port: 8080 } },
};

test('only for another datacenter, and only when configured', () => {
  const config = { ...DEFAULT_HTTP_CONFIG, datacenter: 'dc1', translateWanAddrs: true };
  expect(translatesWan(config, 'dc2')).toBe(true);
  expect(translatesWan(config, 'dc1')).toBe(false);
  expect(translatesWan(config, '')).toBe(false);
  expect(translatesWan({ ...config, translateWanAddrs: false }, 'dc2')).toBe(false);
});

test('nodes and services of health entries, whose originals stay', () => {
  const entries = [{ Node: NODE, Service: SERVICE, Checks: [] }];
  expect(withWanAddresses(entries)).toEqual([
    {
      Node: { ...NODE, Address: '203.0.113.2' },
      Service: { ...SERVICE, Address: '203.0.113.9', Port: 8080 },
      Checks: [],
    },
  ]);
  expect(NODE.Address).toBe('10.0.0.1');
});

test('catalog rows: the node’s address and the service’s apart', () => {
  const row = {
    Node: 'n',
    Address: '10.0.0.1',
    TaggedAddresses: { wan: '203.0.113.1' },
    ServiceAddress: '10.0.0.9',
    ServicePort: 80,
    ServiceTaggedAddresses: {
      wan: { Address: '203.0.113.9', Port: 0 },
      lan_ipv6: { Address: '2001:db8::9', Port: 1 },
    },
  };
  expect(withWanAddresses([row])).toEqual([
    { ...row, Address: '203.0.113.1', ServiceAddress: '2001:db8::9', ServicePort: 80 },
  ]);
});

test('a node’s services by ID or as a list', () => {
  const moved = { ...SERVICE, Address: '203.0.113.9', Port: 8080 };
  expect(withWanAddresses({ Node: NODE, Services: { web: SERVICE } })).toMatchObject({
    Services: { web: moved },
  });
  expect(withWanAddresses({ Node: NODE, Services: [SERVICE] })).toMatchObject({ Services: [moved] });
  expect(withWanAddresses(null)).toBeNull();
});

test('what has no tagged addresses stays', () => {
  const bare = { Node: 'n', Address: '10.0.0.1', TaggedAddresses: null };
  expect(withWanAddresses([bare])).toEqual([bare]);
  expect(withWanAddresses({ consul: [] })).toEqual({ consul: [] });
});
