/** Puts a gateway in front of a fake pool, over sockets or in memory. */

import { realEnv } from '../../shared/env.ts';
import { silentLogger } from '../../shared/log.ts';
import { createGateway, type Gateway } from '../app.ts';
import { createMemoryState } from '../cache/shared-state.ts';
import { openWebExchange } from '../exchange/web-exchange.ts';
import { type GatewaySettings, parseSettings } from '../settings/settings.ts';
import { type RunningGateway, startGateway } from '../start.ts';
import { createUndiciTransport } from '../upstream/undici-transport.ts';
import type { FakePool } from './fake-pool.ts';

export function testSettings(
  nodes: readonly string[],
  changes: Partial<GatewaySettings> = {},
): GatewaySettings {
  const base = parseSettings({ GATEWAY_NODES: nodes.join(','), GATEWAY_LISTEN: '127.0.0.1:0' });
  return { ...base, pollMs: 50, drainMs: 200, ...changes };
}

/** The app alone, over real upstream sockets; requests come through `app.request()`. Waits for the first listing. */
export async function openTestApp(pool: FakePool, changes: Partial<GatewaySettings> = {}): Promise<Gateway> {
  const settings = testSettings([pool.nodes[0]?.url ?? ''], changes);
  const gateway = createGateway({
    settings,
    transport: createUndiciTransport({ ...settings, connectTimeoutMs: 500 }),
    sharedState: createMemoryState(1e6, () => realEnv.clock.monotonicMs()),
    openExchange: openWebExchange,
    sharesWork: true,
    env: realEnv,
    logger: silentLogger,
  });
  gateway.start();
  while ((await gateway.app.request('/ready')).status !== 200);
  return gateway;
}

/** The whole Node program but its process. */
export async function startTestGateway(
  pool: FakePool,
  changes: Partial<GatewaySettings> = {},
): Promise<RunningGateway> {
  const settings = testSettings([pool.nodes[0]?.url ?? ''], changes);
  const gateway = await startGateway({ settings, logger: silentLogger });
  while ((await fetch(`${gateway.url}/ready`)).status !== 200);
  return gateway;
}
