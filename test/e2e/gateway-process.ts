/** A gateway in front of one development agent, both as processes, for tests that need no pool. */

import { AGENT_PROGRAM, fetchJson, freePorts, GATEWAY_PROGRAM } from '../../launch/pool.ts';
import { type LocalProcess, startProcess } from '../../launch/process.ts';
import { eventually } from './eventually.ts';

export interface DevAgent {
  readonly url: string;
  readonly dnsPort: number;
  readonly process: LocalProcess;
}

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly process: LocalProcess;
}

/** Starts `agent -dev` and waits until it leads. */
export async function startDevAgent(
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<DevAgent> {
  const ports = (await freePorts(1))(0);
  const args = [AGENT_PROGRAM, 'agent', '-dev', '-node=dev1', `-http-port=${ports.http}`];
  args.push(`-dns-port=${ports.dns}`, `-server-port=${ports.server}`, '-grpc-port=-1');
  args.push(`-serf-lan-port=${ports.serfLan}`, `-serf-wan-port=${ports.serfWan}`);
  args.push(...flags);
  const process = startProcess({ name: 'agent', args, env });
  const url = `http://127.0.0.1:${ports.http}`;
  await eventually(`a leader (${process.name})`, async () => {
    if (!process.isRunning()) throw new Error(process.output());
    return (await fetchJson<unknown[]>(`${url}/v1/catalog/service/consul`))?.length === 1 ? true : undefined;
  });
  return { url, dnsPort: ports.dns, process };
}

/** Starts a gateway on a free port and waits until it listens and knows a leader. */
export async function startTestGateway(
  nodes: string,
  env: Readonly<Record<string, string>> = {},
): Promise<TestGateway> {
  const process = startProcess({
    name: 'gateway',
    args: [GATEWAY_PROGRAM, `-nodes=${nodes}`, '-listen=127.0.0.1:0'],
    env,
  });
  const url = await eventually('the gateway to listen', async () => {
    if (!process.isRunning()) throw new Error(process.output());
    return /url=(https?:\/\/127\.0\.0\.1:\d+)/.exec(process.output())?.[1];
  });
  const port = Number(new URL(url).port);
  // What follows can't verify a certificate of the test's own; the readiness of an HTTPS gateway is its caller's to see.
  if (url.startsWith('http:'))
    await eventually('the gateway to be ready', async () =>
      (await fetch(`${url}/ready`)).ok ? true : undefined,
    );
  return { url, port, process };
}
