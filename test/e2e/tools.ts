/** Programs that a user may lack: tests skip without them, except in the gate, where they are installed. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canMakeNamespaces } from '../chaos/network.ts';

/** Whether the program is there. In the gate its absence is an error. */
export function hasTool(name: string): boolean {
  const isThere = spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
  if (!isThere && process.env.PROCONSUL_REQUIRE_TOOLS === '1')
    throw new Error(`${name} must be installed here`);
  if (!isThere) process.stderr.write(`skipping tests that need ${name}: it is not installed\n`);
  return isThere;
}

/**
 * A Prometheus that knows `consul_sd_configs`: the one named by PROCONSUL_PROMETHEUS, else the one on the path. Some
 * distributions build it without. undefined when there is none.
 */
export function findPrometheus(): string | undefined {
  const program = process.env.PROCONSUL_PROMETHEUS ?? 'prometheus';
  if (takesDiscovery(program, "consul_sd_configs: [{server: 'localhost:8500'}]")) return program;
  return missing('a Prometheus with consul_sd_configs (PROCONSUL_PROMETHEUS)');
}

/** A Prometheus that knows `http_sd_configs` (2.28 and later), looked for in the same places and in the system's own. */
export function findPrometheusWithHttp(): string | undefined {
  const programs = [process.env.PROCONSUL_PROMETHEUS ?? 'prometheus', 'prometheus', '/usr/bin/prometheus'];
  const found = programs.find((each) =>
    takesDiscovery(each, "http_sd_configs: [{url: 'http://localhost/'}]"),
  );
  return found ?? missing('a Prometheus with http_sd_configs (2.28 or later)');
}

function takesDiscovery(program: string, config: string): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'promtool-'));
  try {
    const file = join(dir, 'prometheus.yml');
    writeFileSync(file, `scrape_configs:\n  - job_name: a\n    ${config}\n`);
    const tool = program.replace(/prometheus$/, 'promtool');
    return spawnSync(tool, ['check', 'config', file]).status === 0;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A real Consul 1.8: named by PROCONSUL_CONSUL, else on the path. undefined when there is none. */
export function findConsul(): string | undefined {
  const program = process.env.PROCONSUL_CONSUL ?? 'consul';
  const version = spawnSync(program, ['version'], { encoding: 'utf8' });
  if (version.status === 0 && /^Consul v1\.8\.\d+$/m.test(version.stdout)) return program;
  return missing('a Consul 1.8 (PROCONSUL_CONSUL)');
}

/**
 * A Python that can `import consul` (Debian: python3-consul): the first one on the path, else the system's own, which
 * is where packages of the system go. undefined when there is none.
 */
export function findPythonConsul(): string | undefined {
  const canImport = (program: string) => spawnSync(program, ['-c', 'import consul.base']).status === 0;
  return ['python3', '/usr/bin/python3'].find(canImport) ?? missing('python3-consul');
}

/** Whether this process may make network namespaces and join them by links (iproute2, as root). */
export function canCutNetworks(): boolean {
  const isPermitted = canMakeNamespaces();
  if (!isPermitted) missing('the right to make network namespaces (iproute2, root)');
  return isPermitted;
}

function missing(what: string): undefined {
  if (process.env.PROCONSUL_REQUIRE_TOOLS === '1') throw new Error(`${what} must be here`);
  process.stderr.write(`skipping tests that need ${what}: not here\n`);
  return undefined;
}

/** Runs `dig` and returns its standard output, blanks at the ends removed. */
export function dig(...args: string[]): string {
  return execFileSync('dig', ['+time=5', '+tries=2', ...args], { encoding: 'utf8' }).trim();
}
