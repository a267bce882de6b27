/**
 * One development agent on one core: the workloads of the load benchmark against it and, side by side, against peers
 * that the caller has started the same way. Prints rates, ratios and the agent's resident memory at the end.
 *
 *   npm run bench:agent -- [--seconds 3] [--connections 64] [--peer consul=http://127.0.0.1:9500,9600]
 *
 * With `taskset` (Linux) the agent gets core 0 and this program core 1.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { AGENT_PROGRAM, fetchJson, freePorts } from '../launch/pool.ts';
import { startProcess } from '../launch/process.ts';
import { compare, fill, parsePeer, TABLE_HEAD, type Target, tableRow, WORKLOADS } from './workloads.ts';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    peer: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
  },
});
const options = { connections: Number(flags.connections), durationMs: Number(flags.seconds) * 1000 };

const ports = (await freePorts(1))(0);
const agent = startProcess({
  name: 'agent',
  args: [
    AGENT_PROGRAM,
    'agent',
    '-dev',
    '-node=bench',
    '-bind=127.0.0.1',
    '-log-level=err',
    `-http-port=${ports.http}`,
    `-dns-port=${ports.dns}`,
    `-server-port=${ports.server}`,
    `-serf-lan-port=${ports.serfLan}`,
    `-serf-wan-port=${ports.serfWan}`,
  ],
});
try {
  const url = `http://127.0.0.1:${ports.http}`;
  const isPinned = pin(agent.pid, 0) && pin(process.pid, 1);
  while ((await fetchJson<unknown[]>(`${url}/v1/catalog/nodes`)) === undefined) {
    if (!agent.isRunning()) throw new Error(agent.output());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const targets: Target[] = [
    { name: 'agent', url: new URL(url), dnsPort: ports.dns },
    ...flags.peer.map(parsePeer),
  ];
  for (const target of targets) await fill(target.url);
  console.log(
    `one agent${isPinned ? ' on one core' : ''}, in memory; ${options.connections} connections, ${flags.seconds} s each\n`,
  );
  console.log(tableRow(TABLE_HEAD));
  for (const workload of WORKLOADS) {
    if (flags.only.length === 0 || flags.only.includes(workload.name))
      await compare(workload, targets, options);
  }
  console.log(`\nresident memory of the agent: ${residentMib(agent.pid)} MiB`);
} finally {
  await agent.stop('SIGKILL');
}

function pin(pid: number, core: number): boolean {
  return spawnSync('taskset', ['-acp', String(core), String(pid)]).status === 0;
}

function residentMib(pid: number): string {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return kib === undefined ? 'unknown' : (Number(kib) / 1024).toFixed(0);
}
