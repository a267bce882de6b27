import { describe, expect, test } from 'vitest';
import { describeSettings, parseSettings } from './settings.ts';

const NODES = { GATEWAY_NODES: 'http://10.0.0.1:8500' };

test('defaults', () => {
  const settings = parseSettings(NODES);
  expect(settings).toMatchObject({
    listen: { host: '127.0.0.1', port: 8500 },
    nodes: ['http://10.0.0.1:8500'],
    pollMs: 1000,
    retryDeadlineMs: 10_000,
    logLevel: 'INFO',
    domain: 'consul.',
    collapse: true,
  });
  expect(Object.isFrozen(settings)).toBe(true);
});

test('a certificate comes with its key', () => {
  const settings = parseSettings({ ...NODES, GATEWAY_TLS_CERT: 'cert.pem' }, ['-tls-key=key.pem']);
  expect([settings.tlsCertPath, settings.tlsKeyPath]).toEqual(['cert.pem', 'key.pem']);
});

test('flags win over variables', () => {
  const settings = parseSettings({ ...NODES, GATEWAY_LISTEN: ':1', GATEWAY_DOMAIN: 'Example.Org' }, [
    '-listen=[::1]:8600',
    '--nodes',
    'a:1, https://b:2/',
    '-log-level',
    'err',
  ]);
  expect(settings.listen).toEqual({ host: '::1', port: 8600 });
  expect(settings.nodes).toEqual(['http://a:1', 'https://b:2']);
  expect(settings.logLevel).toBe('ERROR');
  expect(settings.domain).toBe('example.org.');
});

test('limits are a rate and a burst, proxies a list of blocks', () => {
  const { tokenLimit, addressLimit, trustedProxies } = parseSettings(NODES, [
    '-rate-limit-token=100/250',
    '-rate-limit-address=0.5',
    '-trusted-proxies=10.0.0.0/8, ::1',
  ]);
  expect([tokenLimit, addressLimit]).toEqual([
    { perSecond: 100, burst: 250 },
    { perSecond: 0.5, burst: 1 },
  ]);
  expect(['10.9.9.9', '::1', '11.0.0.1'].map((address) => trustedProxies.has(address))).toEqual([
    true,
    true,
    false,
  ]);
  const off = parseSettings(NODES, ['-rate-limit-token=0']);
  expect([off.tokenLimit, off.addressLimit, off.trustedProxies.isEmpty]).toEqual([
    undefined,
    undefined,
    true,
  ]);
});

describe('what is wrong is said, with what to do', () => {
  test.each<[Record<string, string>, string[], RegExp]>([
    [{}, [], /No agents are configured\. Set -nodes or GATEWAY_NODES/],
    [{ GATEWAY_NODES: 'ftp://x' }, [], /GATEWAY_NODES must list base URLs/],
    [{ GATEWAY_NODES: 'http://x/v1' }, [], /base URLs/],
    [NODES, ['-listen=8500'], /-listen must be HOST:PORT/],
    [NODES, ['-listen=a:70000'], /HOST:PORT/],
    [{ ...NODES, GATEWAY_POLL_INTERVAL: '5' }, [], /GATEWAY_POLL_INTERVAL must be a duration/],
    [{ ...NODES, GATEWAY_POLL_INTERVAL: '1ms' }, [], /between 50ms and 60000ms/],
    [{ ...NODES, GATEWAY_BODY_LIMIT: '-1' }, [], /whole number/],
    [{ ...NODES, GATEWAY_COLLAPSE: 'maybe' }, [], /true or false/],
    [{ ...NODES, REDIS_URL: 'localhost' }, [], /redis:\/\//],
    [{ ...NODES, GATEWAY_TLS_CERT: 'a.pem' }, [], /set -tls-key or GATEWAY_TLS_KEY too/],
    [NODES, ['-tls-key=a.pem'], /set -tls-cert or GATEWAY_TLS_CERT too/],
    [NODES, ['-rate-limit-token=fast'], /requests per second and requests at once, such as 100\/200/],
    [NODES, ['-rate-limit-address=1/0'], /requests per second/],
    [NODES, ['-trusted-proxies=10.0.0.0/99'], /addresses or blocks such as/],
    [NODES, ['-bogus=1'], /Unknown argument "-bogus=1"/],
    [NODES, ['-nodes'], /-nodes needs a value/],
    [NODES, ['-log-level=loud'], /trace, debug, info, warn, err/],
    [NODES, ['-domain=a..b'], /DNS zone/],
  ])('%j %j', (variables, args, message) => {
    expect(() => parseSettings(variables, args)).toThrow(message);
  });
});

test('the help names every setting', () => {
  for (const name of ['-listen, GATEWAY_LISTEN', '(required)', 'REDIS_URL', 'default 10s'])
    expect(describeSettings()).toContain(name);
});
