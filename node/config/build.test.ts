/** From the merged tree to the validated configuration: defaults, refusals, warnings. */

import { expect, test } from 'vitest';
import { buildConfig, type HostFacts, realHostFacts } from './build.ts';
import type { Tree } from './decode.ts';

const address = (ip: string, internal = false) => ({
  address: ip,
  netmask: '255.255.255.0',
  family: ip.includes(':') ? ('IPv6' as const) : ('IPv4' as const),
  mac: '00:00:00:00:00:00',
  internal,
  cidr: null,
  ...(ip.includes(':') ? { scopeid: 0 } : {}),
});
const HOST = {
  hostname: 'host1',
  interfaces: { lo: [address('127.0.0.1', true)], eth0: [address('10.1.2.3')] },
} as HostFacts;

const build = (tree: Tree, isDev = false, host = HOST) =>
  buildConfig({ tree, isDev, sources: [], warnings: [] }, host);
const valid: Tree = { data_dir: '/data' };

test('a client with defaults', () => {
  const config = build(valid);
  expect(config).toMatchObject({
    isServer: false,
    nodeName: 'host1',
    datacenter: 'dc1',
    domain: 'consul.',
    bindAddress: '0.0.0.0',
    advertiseAddress: '10.1.2.3',
    advertiseAddressWan: '10.1.2.3',
    httpAddresses: ['127.0.0.1'],
    leaveOnTerminate: true,
    skipLeaveOnInterrupt: false,
    raftMultiplier: 5,
    warnings: [],
  });
  expect(config.ports).toEqual({
    dns: 8600,
    http: 8500,
    https: -1,
    grpc: -1,
    server: 8300,
    serfLan: 8301,
    serfWan: 8302,
    sidecarMin: 21_000,
    sidecarMax: 21_255,
  });
  expect(Object.isFrozen(config.ports)).toBe(true);
});

test('dev mode keeps nothing and listens on loopback', () => {
  expect(build({ data_dir: '/data' }, true)).toMatchObject({
    isServer: true,
    dataDir: '',
    bindAddress: '127.0.0.1',
    uiEnabled: true,
    raftMultiplier: 1,
    log: { level: 'DEBUG' },
    gossipLan: { probeIntervalMs: 100, suspicionMult: 3 },
  });
});

test('bootstrap_expect = 1 is bootstrap mode', () => {
  const config = build({ ...valid, server: true, bootstrap_expect: 1 });
  expect([config.bootstrap, config.bootstrapExpect]).toEqual([true, 0]);
  expect(config.warnings).toEqual([
    'BootstrapExpect is set to 1; this is the same as Bootstrap mode.',
    'bootstrap = true: do not enable unless necessary',
  ]);
});

test('addresses: several, templates, and one for each listener', () => {
  const config = build({
    ...valid,
    bind_addr: '{{ GetPrivateIP }}',
    client_addr: '127.0.0.1 {{ GetInterfaceIP "eth0" }}',
    addresses: { dns: '127.0.0.5' },
    ports: { http: 0 },
    domain: 'Example.COM',
  });
  expect(config).toMatchObject({
    bindAddress: '10.1.2.3',
    httpAddresses: ['127.0.0.1', '10.1.2.3'],
    dnsAddresses: ['127.0.0.5'],
    domain: 'example.com.',
    ports: { http: -1 },
  });
});

test('services and checks are read with their durations', () => {
  const config = build({
    ...valid,
    services: [{ name: 'web', port: 80, check: { http: 'http://x', interval: '10s', timeout: '500ms' } }],
    checks: [{ name: 'ttl', ttl: '1m' }],
  });
  expect(config.services[0]).toMatchObject({ name: 'web', port: 80, weights: undefined });
  expect(config.services[0]?.checks[0]).toMatchObject({
    http: 'http://x',
    intervalMs: 10_000,
    timeoutMs: 500,
  });
  expect(config.checks[0]).toMatchObject({ name: 'ttl', ttlMs: 60_000 });
});

test('a data directory that is none is refused, except in dev mode, which keeps nothing', () => {
  const host: HostFacts = { ...HOST, dataDirProblem: (path) => `data_dir "${path}" is not a directory` };
  expect(() => build(valid, false, host)).toThrow('data_dir "/data" is not a directory');
  expect(build(valid, true, host).dataDir).toBe('');
  const { dataDirProblem } = realHostFacts();
  expect(dataDirProblem?.('/dev/null')).toBe('data_dir "/dev/null" is not a directory');
  expect(dataDirProblem?.('/dev/null/x')).toContain('Error getting info on data_dir: ENOTDIR');
  expect(dataDirProblem?.('/')).toBeUndefined();
  expect(dataDirProblem?.('/does/not/exist/yet')).toBeUndefined();
});

test('a folder for the UI switches it on', () => {
  expect(build({ ...valid, ui_dir: '/my/ui' })).toMatchObject({ uiEnabled: true, uiDir: '/my/ui' });
  expect(build({ ...valid, ui_config: { dir: '/my/ui' } }, true)).toMatchObject({ uiDir: '/my/ui' });
  expect(build(valid)).toMatchObject({ uiEnabled: false, uiDir: '' });
});

test('collectors of metrics', () => {
  const telemetry = {
    statsd_address: 'stats.local:8125',
    statsite_address: '[::1]:8126',
    dogstatsd_addr: ':8127',
    dogstatsd_tags: ['env:prod'],
  };
  expect(build({ ...valid, telemetry }).telemetry).toMatchObject({
    statsd: { host: 'stats.local', port: 8125 },
    statsite: { host: '::1', port: 8126 },
    dogstatsd: { host: 'localhost', port: 8127 },
    dogstatsdTags: ['env:prod'],
  });
  expect(build(valid).telemetry).toMatchObject({ statsd: undefined, dogstatsdTags: [] });
});

test('networks that gossip may come from, and the cache of the HTTP API', () => {
  const tree = { ...valid, serf_lan_allowed_cidrs: ['10.0.0.0/8'], http_config: { use_cache: false } };
  expect(build(tree)).toMatchObject({
    serfLanAllowedCidrs: ['10.0.0.0/8'],
    serfWanAllowedCidrs: [],
    http: { useCache: false },
  });
  expect(build(valid).http.useCache).toBe(true);
});

test('how many requests a client sends the servers', () => {
  expect(build({ ...valid, limits: { rpc_rate: 2.5, rpc_max_burst: 7 } })).toMatchObject({
    rpcRate: 2.5,
    rpcMaxBurst: 7,
  });
  expect(build(valid)).toMatchObject({ rpcRate: -1, rpcMaxBurst: 1000 });
});

test.each<[Tree, string]>([
  [{}, 'data_dir cannot be empty'],
  [
    { ...valid, telemetry: { statsd_address: 'host' } },
    'telemetry.statsd_address: invalid address: "host", want host:port',
  ],
  [
    { ...valid, telemetry: { dogstatsd_addr: 'host:70000' } },
    'telemetry.dogstatsd_addr: invalid address: "host:70000", want host:port',
  ],
  [{ ...valid, serf_wan_allowed_cidrs: ['10/8'] }, 'serf_wan_allowed_cidrs: invalid CIDR address: 10/8'],
  [
    { ...valid, http_config: { allow_write_http_from: ['x'] } },
    'http_config.allow_write_http_from: invalid CIDR address: x',
  ],
  [
    { ...valid, ui: true, ui_dir: '/my/ui' },
    'Both the ui and ui-dir flags were specified, please provide only one.\n' +
      'If trying to use your own web UI resources, use the ui-dir flag.\n' +
      'The web UI is included in the binary so use ui to enable it',
  ],
  [{ ...valid, datacenter: 'a b' }, 'datacenter cannot be "a b". Please use only [a-z0-9-_]'],
  [{ ...valid, datacenter: '' }, 'datacenter cannot be empty'],
  [{ ...valid, node_name: '' }, 'node_name cannot be empty'],
  [{ ...valid, bootstrap: true }, "'bootstrap = true' requires 'server = true'"],
  [{ ...valid, bootstrap_expect: 3 }, "'bootstrap_expect > 0' requires 'server = true'"],
  [
    { ...valid, server: true, bootstrap: true, bootstrap_expect: 3 },
    "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive",
  ],
  [
    { ...valid, bootstrap_expect: -1 },
    'bootstrap_expect cannot be -1. Must be greater than or equal to zero',
  ],
  [{ ...valid, bind_addr: 'host' }, 'bind_addr must be an ip address'],
  [{ ...valid, bind_addr: 'unix:///x' }, 'bind_addr cannot be a unix socket'],
  [
    { ...valid, bind_addr: '127.0.0.1 127.0.0.2' },
    "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
  ],
  [{ ...valid, advertise_addr: '0.0.0.0' }, 'Advertise address cannot be 0.0.0.0, :: or [::]'],
  [{ ...valid, advertise_addr_wan: '::' }, 'Advertise WAN address cannot be 0.0.0.0, :: or [::]'],
  [
    { ...valid, performance: { raft_multiplier: 11 } },
    'performance.raft_multiplier cannot be 11. Must be between 1 and 10',
  ],
  [{ ...valid, ports: { http: 70_000 } }, 'ports.http: invalid port: 70000'],
  [{ ...valid, ports: { http: 8600 } }, 'HTTP address 127.0.0.1:8600 already configured for DNS'],
  [
    { ...valid, check_output_max_size: 0 },
    'check_output_max_size must be positive, to discard check output use the discard_check_output flag',
  ],
  [
    { ...valid, dns_config: { udp_answer_limit: -1 } },
    'dns_config.udp_answer_limit cannot be -1. Must be greater than or equal to zero',
  ],
  [{ ...valid, recursors: ['::'] }, 'DNS recursor address cannot be 0.0.0.0, :: or [::]'],
  [{ ...valid, alt_domain: 'dc1.x' }, 'alt_domain cannot start with {service,connect,node,query,addr,dc1}'],
  [
    { ...valid, node_meta: { 'bad key': 'x' } },
    "node_meta invalid: Couldn't load metadata pair ('bad key', 'x'): Key contains invalid characters",
  ],
  [{ ...valid, encrypt: 'AAAA' }, 'encrypt has invalid key: key size must be 16, 24 or 32 bytes'],
  [
    { ...valid, log_level: 'zz' },
    'Invalid log level: zz. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]',
  ],
  [{ ...valid, node_id: 'x' }, 'node_id invalid: "x" is not a UUID'],
  [
    { ...valid, autopilot: { max_trailing_logs: -1 } },
    'autopilot.max_trailing_logs cannot be -1. Must be greater than or equal to zero',
  ],
  [{ ...valid, server: true, auto_encrypt: { tls: true } }, 'auto_encrypt.tls can only be used on a client.'],
  [{ ...valid, auto_encrypt: [{ allow_tls: true }] }, 'auto_encrypt.allow_tls can only be used on a server.'],
  [
    {
      ...valid,
      services: [
        { name: 'a', meta: { 'consul-x': '1' } },
        { name: 'b', weights: { passing: 0 } },
      ],
    },
    "2 errors occurred:\n\t* invalid meta for service a: Couldn't load metadata pair ('consul-x', '1'): Key prefix 'consul-' is reserved for internal use\n\t* Invalid weight definition for service b: Passing must be greater than 0\n\n",
  ],
  [
    { ...valid, services: [{ name: 'a', weights: { passing: 70_000, warning: 1 } }] },
    '1 error occurred:\n\t* Invalid weight definition for service a: DNS Weight must be between 0 and 65535\n\n',
  ],
  [
    { ...valid, retry_interval: '5', session_ttl_min: 'x' },
    '2 errors occurred:\n\t* retry_interval: invalid duration: "5": time: missing unit in duration "5"\n\t* session_ttl_min: invalid duration: "x": time: invalid duration "x"\n\n',
  ],
])('%j is refused', (tree, text) => {
  expect(() => build(tree)).toThrow(expect.objectContaining({ message: text }));
});

test('the advertise address must be the only one to choose', () => {
  const interfaces = (ips: string[]) =>
    ({ ...HOST, interfaces: { eth0: ips.map((ip) => address(ip)) } }) as HostFacts;
  expect(() => build(valid, false, interfaces(['10.0.0.1', '192.168.0.1']))).toThrow(
    "Multiple private IPv4 addresses found. Please configure one with 'bind' and/or 'advertise'.",
  );
  expect(() => build(valid, false, interfaces(['8.8.8.8']))).toThrow('No private IPv4 address found');
  expect(build(valid, false, interfaces(['8.8.8.8', '100.64.0.1'])).advertiseAddress).toBe('100.64.0.1');
});

test.each<[Tree, string]>([
  [{ node_name: 'a.b' }, 'Node name "a.b" will not be discoverable via DNS due to invalid characters.'],
  [{ node_name: 'a'.repeat(64) }, 'due to it being too long. Valid lengths are between 1 and 63 bytes.'],
  [{ server: true, bootstrap_expect: 4 }, 'bootstrap_expect is even number: '],
  [
    { server: true, bootstrap_expect: 2 },
    'bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance.',
  ],
  [{ enable_script_checks: true }, 'using enable-script-checks without ACLs'],
  [{ acl_enforce_version_8: true }, 'config key "acl_enforce_version_8" is deprecated and should be removed'],
  [{ acl_datacenter: 'dc1' }, "The 'acl_datacenter' field is deprecated."],
])('%j is warned about', (tree, text) => {
  expect(build({ ...valid, ...tree }).warnings.some((warning) => warning.includes(text))).toBe(true);
});
