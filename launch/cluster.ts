/** `npm run cluster`: three servers, two clients and a gateway on this machine until Ctrl-C. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockPorts, type LocalPool, startPool, waitUntilReady } from './pool.ts';

const BASE_PORT = 8500;
const GATEWAY_PORT = 8500;

const given = process.argv.find((arg) => arg.startsWith('-data-dir='))?.slice('-data-dir='.length);
const dataRoot = given ?? mkdtempSync(join(tmpdir(), 'proconsul-'));
print(`Starting 3 servers, 2 clients and a gateway; data in ${dataRoot}\n`);

const pool = startPool({
  servers: 3,
  clients: 2,
  dataRoot,
  portsOf: blockPorts(BASE_PORT),
  gatewayPort: GATEWAY_PORT,
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(0));
try {
  await waitUntilReady(pool);
  print(`${table(pool)}\n${hints(pool)}`);
} catch (error) {
  print(`${error instanceof Error ? error.message : String(error)}\n`);
  await stop(1);
}

async function stop(code: number): Promise<never> {
  print('\nStopping…\n');
  await pool.stop();
  print('All processes have ended.\n');
  process.exit(code);
}

function table({ agents, gateway }: LocalPool): string {
  const rows = agents.map(({ name, role, ports, process: { pid } }) => [
    name,
    role,
    `127.0.0.1:${ports.http}`,
    `127.0.0.1:${ports.dns}`,
    role === 'server' ? `127.0.0.1:${ports.server}` : '-',
    `127.0.0.1:${ports.serfLan}`,
    String(pid),
  ]);
  if (gateway !== undefined) {
    rows.push([
      'gateway',
      'gateway',
      `127.0.0.1:${gateway.port}`,
      '/dns-query',
      '-',
      '-',
      String(gateway.process.pid),
    ]);
  }
  const all = [['NAME', 'ROLE', 'HTTP', 'DNS', 'RPC', 'GOSSIP', 'PID'], ...rows];
  const widths = all[0]?.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0))) ?? [];
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function hints({ agents, gateway }: LocalPool): string {
  return `
Try:
  curl ${gateway?.url}/v1/catalog/nodes?pretty
  curl -X PUT --data '{"Name":"web","Port":80}' ${gateway?.url}/v1/agent/service/register
  dig @127.0.0.1 -p ${agents[0]?.ports.dns} web.service.consul SRV
  CONSUL_HTTP_ADDR=${gateway?.url} npx proconsul members

Ctrl-C stops everything.
`;
}

function print(text: string): void {
  process.stdout.write(text);
}
