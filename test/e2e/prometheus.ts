/** A real Prometheus whose only way to find targets is the gateway. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchJson } from '../../launch/pool.ts';

export interface Target {
  readonly labels: Readonly<Record<string, string>>;
  /** Before rules were applied. */
  readonly discoveredLabels: Readonly<Record<string, string>>;
  readonly scrapeUrl: string;
  readonly health: string;
}

export interface Prometheus {
  /** Active targets now; undefined while it does not answer. */
  targets(): Promise<readonly Target[] | undefined>;
  /** How many targets all jobs have found, which is much cheaper to ask than what they are; 0 while it doesn't answer. */
  discovered(): Promise<number>;
  stop(): Promise<void>;
}

/** `consul_sd_configs` at the gateway, keeping services tagged `node-exporter`, metadata as labels. */
export function startPrometheus(program: string, gatewayAddress: string, port: number): Prometheus {
  return startPrometheusWith(program, configFor(gatewayAddress), port);
}

/** @param config the text of prometheus.yml */
export function startPrometheusWith(program: string, config: string, port: number): Prometheus {
  const dir = mkdtempSync(join(tmpdir(), 'prometheus-'));
  const file = join(dir, 'prometheus.yml');
  writeFileSync(file, config);
  const child = spawn(
    program,
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const exited = new Promise((resolve) => child.once('exit', resolve));
  return {
    async targets() {
      type Answer = { data: { activeTargets: Target[] } };
      return (await fetchJson<Answer>(`http://127.0.0.1:${port}/api/v1/targets`))?.data.activeTargets;
    },
    async discovered() {
      const text = await fetchText(`http://127.0.0.1:${port}/metrics`);
      const counts = text.matchAll(/^prometheus_sd_discovered_targets\{.*name="scrape".*\} (\d+)$/gm);
      return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
    },
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function fetchText(url: string): Promise<string> {
  try {
    return await (await fetch(url)).text();
  } catch {
    // Not up yet is an answer here.
    return '';
  }
}

function configFor(gatewayAddress: string): string {
  return `
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: consul-node-exporter
    consul_sd_configs:
      - server: '${gatewayAddress}'
        services: []
        refresh_interval: 1s
    relabel_configs:
      - source_labels: [__meta_consul_tags]
        regex: .*node-exporter.*
        action: keep
      - regex: __meta_consul_service_metadata_(.+)
        action: labelmap
`;
}
