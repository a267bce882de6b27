/** One server, one client agent and a gateway as processes: enough for what needs a gateway but no failover. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, type LocalPool, startPool, waitUntilReady } from '../../launch/pool.ts';

export interface SmallPool {
  /** Base URL of the gateway. */
  readonly gateway: string;
  readonly gatewayPort: number;
  /** server1, client1. */
  readonly agents: LocalPool['agents'];
  stop(): Promise<void>;
}

/** Ready when it resolves. @throws Error with a process's output when it doesn't get ready */
export async function startSmallPool(): Promise<SmallPool> {
  const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-e2e-'));
  const portsOf = await freePorts(3);
  const gatewayPort = portsOf(2).http;
  const pool = startPool({ servers: 1, clients: 1, dataRoot, portsOf, gatewayPort });
  const stop = async () => {
    await pool.stop();
    rmSync(dataRoot, { recursive: true, force: true });
  };
  try {
    await waitUntilReady(pool);
  } catch (error) {
    await stop();
    throw error;
  }
  return { gateway: pool.gateway?.url ?? '', gatewayPort, agents: pool.agents, stop };
}
