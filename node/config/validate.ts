/** Refuses settings that contradict each other, in Consul's sentences, and words the warnings about risky ones. */

import { isIP } from 'node:net';
import { metadataProblem } from '../../shared/metadata.ts';
import { isAnyAddress } from './addresses.ts';
import { inNetworks } from './cidr.ts';
import type { Config } from './config.ts';
import { ConfigError } from './config-error.ts';
import { isTree, type Tree } from './decode.ts';
import { number, text } from './definitions.ts';

const DATACENTER = /^[a-z0-9_-]+$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @param tree the merged input, to tell what was given from what was defaulted. @throws ConfigError */
export function validateConfig(
  config: Config,
  tree: Tree,
  dataDirProblem: (path: string) => string | undefined = () => undefined,
): void {
  const expect = number(tree.bootstrap_expect);
  const bootstrap = tree.bootstrap === true;
  if (config.datacenter === '') throw new ConfigError('datacenter cannot be empty', { keys: ['datacenter'] });
  if (!DATACENTER.test(config.datacenter)) {
    throw new ConfigError(
      `datacenter cannot be ${JSON.stringify(config.datacenter)}. Please use only [a-z0-9-_]`,
      { keys: ['datacenter'] },
    );
  }
  if (config.dataDir === '' && !config.isDev)
    throw new ConfigError('data_dir cannot be empty', { keys: ['data_dir'] });
  const problem = config.isDev ? undefined : dataDirProblem(config.dataDir);
  if (problem !== undefined) throw new ConfigError(problem, { keys: ['data_dir'] });
  if (config.nodeName === '') throw new ConfigError('node_name cannot be empty', { keys: ['node_name'] });
  if (config.nodeId !== '' && !UUID.test(config.nodeId)) {
    throw new ConfigError(`node_id invalid: ${JSON.stringify(config.nodeId)} is not a UUID`, {
      keys: ['node_id'],
    });
  }
  if (expect < 0)
    throw new ConfigError(`bootstrap_expect cannot be ${expect}. Must be greater than or equal to zero`, {
      keys: ['bootstrap_expect'],
    });
  if (expect > 0 && config.isDev)
    throw new ConfigError("'bootstrap_expect > 0' not allowed in dev mode", { keys: ['bootstrap_expect'] });
  if (expect > 0 && !config.isServer)
    throw new ConfigError("'bootstrap_expect > 0' requires 'server = true'", {
      keys: ['bootstrap_expect', 'server'],
    });
  if (bootstrap && !config.isServer)
    throw new ConfigError("'bootstrap = true' requires 'server = true'", { keys: ['bootstrap', 'server'] });
  if (expect > 0 && bootstrap) {
    throw new ConfigError("'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive", {
      keys: ['bootstrap_expect', 'bootstrap'],
    });
  }
  validateAddresses(config);
  validateLimits(config);
  validateNodeMeta(config.nodeMeta);
  validateListeners(config);
  validateNetworks('serf_lan_allowed_cidrs', config.serfLanAllowedCidrs);
  validateNetworks('serf_wan_allowed_cidrs', config.serfWanAllowedCidrs);
  validateNetworks('http_config.allow_write_http_from', config.http.allowWriteHttpFrom);
  if (config.uiDir !== '' && tree.ui === true) {
    throw new ConfigError(
      'Both the ui and ui-dir flags were specified, please provide only one.\n' +
        'If trying to use your own web UI resources, use the ui-dir flag.\n' +
        'The web UI is included in the binary so use ui to enable it',
      { keys: ['ui', 'ui_dir'] },
    );
  }
  validateAutoEncrypt(config, tree);
  if (config.encrypt !== '') validateKey(config.encrypt);
}

/** Keys that still work and have a better name. */
const DEPRECATED: Readonly<Record<string, string>> = {
  acl_enforce_version_8: 'config key "acl_enforce_version_8" is deprecated and should be removed',
  acl_datacenter: "The 'acl_datacenter' field is deprecated. Use the 'primary_datacenter' field instead.",
};

/** Sentences for the first log lines. */
export function warningsFor(config: Config, tree: Tree): string[] {
  const warnings = Object.entries(DEPRECATED)
    .filter(([key]) => (tree[key] ?? null) !== null)
    .map(([, text]) => text);
  const expect = config.bootstrapExpect;
  if (config.bootstrap && !config.isDev) {
    warnings.push('BootstrapExpect is set to 1; this is the same as Bootstrap mode.');
    warnings.push('bootstrap = true: do not enable unless necessary');
  }
  if (expect > 0) warnings.push(`bootstrap_expect > 0: expecting ${expect} servers`);
  if (expect === 2) {
    warnings.push(
      'bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. See https://www.consul.io/docs/internals/consensus.html#deployment-table',
    );
  } else if (expect > 2 && expect % 2 === 0) {
    warnings.push(
      'bootstrap_expect is even number: A cluster with an even number of servers does not achieve optimum fault tolerance. See https://www.consul.io/docs/internals/consensus.html#deployment-table',
    );
  }
  if (/[^A-Za-z0-9-]/.test(config.nodeName)) {
    warnings.push(
      `Node name ${JSON.stringify(config.nodeName)} will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes.`,
    );
  } else if (config.nodeName.length > 63) {
    warnings.push(
      `Node name ${JSON.stringify(config.nodeName)} will not be discoverable via DNS due to it being too long. Valid lengths are between 1 and 63 bytes.`,
    );
  }
  if (config.enableScriptChecks && config.http.allowWriteHttpFrom.length === 0) {
    warnings.push(
      'using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, use enable-local-script-checks instead, see https://www.hashicorp.com/blog/protecting-consul-from-rce-risk-in-specific-configurations/',
    );
  }
  return warnings;
}

function validateAddresses(config: Config): void {
  const { bindAddress } = config;
  if (bindAddress === '') throw new ConfigError('bind_addr cannot be empty', { keys: ['bind_addr'] });
  if (bindAddress.startsWith('unix://'))
    throw new ConfigError('bind_addr cannot be a unix socket', { keys: ['bind_addr'] });
  if (/\s/.test(bindAddress)) {
    throw new ConfigError(
      "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
      { keys: ['bind_addr'] },
    );
  }
  if (isIP(bindAddress) === 0)
    throw new ConfigError('bind_addr must be an ip address', { keys: ['bind_addr'] });
  if (isAnyAddress(config.advertiseAddress))
    throw new ConfigError('Advertise address cannot be 0.0.0.0, :: or [::]', { keys: ['advertise_addr'] });
  if (isAnyAddress(config.advertiseAddressWan)) {
    throw new ConfigError('Advertise WAN address cannot be 0.0.0.0, :: or [::]', {
      keys: ['advertise_addr_wan'],
    });
  }
  if (isIP(config.advertiseAddress) === 0) {
    throw new ConfigError(
      `advertise_addr must be an ip address, got ${JSON.stringify(config.advertiseAddress)}`,
      { keys: ['advertise_addr'] },
    );
  }
  for (const recursor of config.recursors) {
    if (isAnyAddress(recursor))
      throw new ConfigError('DNS recursor address cannot be 0.0.0.0, :: or [::]', { keys: ['recursors'] });
  }
  const reserved = ['service', 'connect', 'node', 'query', 'addr', config.datacenter];
  if (config.altDomain !== '' && reserved.includes(config.altDomain.split('.')[0] ?? '')) {
    throw new ConfigError(`alt_domain cannot start with {${reserved.join(',')}}`, { keys: ['alt_domain'] });
  }
}

function validateLimits(config: Config): void {
  const { raftMultiplier, dns } = config;
  if (raftMultiplier < 1 || raftMultiplier > 10) {
    throw new ConfigError(
      `performance.raft_multiplier cannot be ${raftMultiplier}. Must be between 1 and 10`,
      { keys: ['performance.raft_multiplier'] },
    );
  }
  if (config.checkOutputMaxSize < 1) {
    throw new ConfigError(
      'check_output_max_size must be positive, to discard check output use the discard_check_output flag',
      { keys: ['check_output_max_size'] },
    );
  }
  const { MaxTrailingLogs } = config.autopilot;
  if (MaxTrailingLogs < 0) {
    throw new ConfigError(
      `autopilot.max_trailing_logs cannot be ${MaxTrailingLogs}. Must be greater than or equal to zero`,
      { keys: ['autopilot.max_trailing_logs'] },
    );
  }
  if (dns.udpAnswerLimit < 0) {
    throw new ConfigError(
      `dns_config.udp_answer_limit cannot be ${dns.udpAnswerLimit}. Must be greater than or equal to zero`,
      { keys: ['dns_config.udp_answer_limit'] },
    );
  }
  if (dns.aRecordLimit < 0) {
    throw new ConfigError(
      `dns_config.a_record_limit cannot be ${dns.aRecordLimit}. Must be greater than or equal to zero`,
      { keys: ['dns_config.a_record_limit'] },
    );
  }
}

function validateAutoEncrypt(config: Config, tree: Tree): void {
  const [given] = Array.isArray(tree.auto_encrypt) ? tree.auto_encrypt : [tree.auto_encrypt];
  const autoEncrypt = isTree(given) ? given : {};
  if (config.isServer && autoEncrypt.tls === true)
    throw new ConfigError('auto_encrypt.tls can only be used on a client.', { keys: ['auto_encrypt'] });
  if (!config.isServer && autoEncrypt.allow_tls === true)
    throw new ConfigError('auto_encrypt.allow_tls can only be used on a server.', { keys: ['auto_encrypt'] });
}

function validateNodeMeta(meta: Readonly<Record<string, string>>): void {
  const problem = metadataProblem(meta);
  if (problem !== undefined) throw new ConfigError(`node_meta invalid: ${problem}`, { keys: ['node_meta'] });
}

/** Every listener needs an address of its own. */
function validateListeners(config: Config): void {
  const taken = new Map<string, string>();
  const claim = (label: string, address: string, port: number) => {
    if (port <= 0) return;
    const key = `${address}:${port}`;
    const other = taken.get(key);
    if (other !== undefined) throw new ConfigError(`${label} address ${key} already configured for ${other}`);
    taken.set(key, label);
  };
  for (const address of config.dnsAddresses) claim('DNS', address, config.ports.dns);
  for (const address of config.httpAddresses) claim('HTTP', address, config.ports.http);
  if (config.isServer) claim('RPC Advertise', config.advertiseAddress, config.ports.server);
  claim('Serf Advertise LAN', config.advertiseAddress, config.ports.serfLan);
  if (config.isServer) claim('Serf Advertise WAN', config.advertiseAddressWan, config.ports.serfWan);
}

function validateNetworks(key: string, networks: readonly string[]): void {
  try {
    inNetworks(networks);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${key}: ${problem}`, { keys: [key] });
  }
}

function validateKey(key: string): void {
  const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text(key));
  if (!isBase64)
    throw new ConfigError('encrypt has invalid key: illegal base64 data at input byte 0', {
      keys: ['encrypt'],
    });
  const bytes = Buffer.from(key, 'base64').length;
  if (![16, 24, 32].includes(bytes))
    throw new ConfigError('encrypt has invalid key: key size must be 16, 24 or 32 bytes', {
      keys: ['encrypt'],
    });
}
