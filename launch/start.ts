/** `npm start`: one server agent and a gateway in front of it, on embedded defaults, until Ctrl-C. */

import { AGENT_PROGRAM, fetchJson, GATEWAY_PROGRAM } from './pool.ts';
import { type LocalProcess, startProcess } from './process.ts';

const AGENT_HTTP_PORT = 8501;
const GATEWAY_PORT = 8500;
const DNS_PORT = 8600;
const START_LIMIT_MS = 30_000;

const agentUrl = `http://127.0.0.1:${AGENT_HTTP_PORT}`;
const gatewayUrl = `http://127.0.0.1:${GATEWAY_PORT}`;
const extra = process.argv.slice(2);
const keepsData = extra.some((arg) => /^--?data-dir(?:=|$)/.test(arg));

const agent = startProcess({ name: 'agent', args: [AGENT_PROGRAM, 'agent', ...agentArgs()] });
const gateway = startProcess({
  name: 'gateway',
  args: [GATEWAY_PROGRAM],
  env: { GATEWAY_LISTEN: `127.0.0.1:${GATEWAY_PORT}`, GATEWAY_NODES: agentUrl },
});
let isStopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(0));
for (const child of [agent, gateway]) void child.exited.then(() => onEnd(child));
await waitForAnswer();
print(banner());

function agentArgs(): string[] {
  const common = [
    '-bind=127.0.0.1',
    `-http-port=${AGENT_HTTP_PORT}`,
    `-dns-port=${DNS_PORT}`,
    '-log-level=INFO',
    '-ui',
  ];
  return keepsData ? ['-server', '-bootstrap', ...common, ...extra] : ['-dev', ...common, ...extra];
}

async function waitForAnswer(): Promise<void> {
  const until = performance.now() + START_LIMIT_MS;
  while (!isStopping) {
    const nodes = await fetchJson<unknown[]>(`${gatewayUrl}/v1/catalog/nodes`);
    if (nodes !== undefined && nodes.length > 0) return;
    if (performance.now() > until) {
      print(`No answer within ${START_LIMIT_MS / 1000} s.\n${agent.output()}\n${gateway.output()}\n`);
      await stop(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function onEnd(child: LocalProcess): Promise<void> {
  if (isStopping) return;
  print(`${child.name} ended unexpectedly:\n${child.output()}\n`);
  await stop(1);
}

async function stop(code: number): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  await gateway.stop('SIGTERM', 5000);
  await agent.stop('SIGTERM', 10_000);
  process.exit(code);
}

function banner(): string {
  return `
Proconsul is running.

  Gateway   ${gatewayUrl}          HTTP API, DNS over HTTPS at /dns-query
  Web UI    ${gatewayUrl}/ui/
  Agent     ${agentUrl}          one server${keepsData ? '' : ', in memory: everything is gone when it stops'}
  DNS       127.0.0.1:${DNS_PORT}                UDP and TCP

Try in another terminal:
  curl -X PUT --data '{"Name":"web","Port":80,"Tags":["rails"]}' ${gatewayUrl}/v1/agent/service/register
  curl ${gatewayUrl}/v1/catalog/service/web?pretty
  curl -X PUT --data 'hello' ${gatewayUrl}/v1/kv/greeting
  curl ${gatewayUrl}/v1/kv/greeting?raw
  dig @127.0.0.1 -p ${DNS_PORT} web.service.consul SRV
  npx proconsul members
${keepsData ? '' : '\nTo keep data over a restart: npm start -- -data-dir=./data\n'}
Ctrl-C stops both.
`;
}

function print(text: string): void {
  process.stdout.write(text);
}
