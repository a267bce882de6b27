import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SimulatedClock } from '../../../../shared/simulated-env.ts';
import { type FakeAgent, type Route, startFakeAgent } from '../../testing/fake-agent.ts';
import { runCli } from '../../testing/run-cli.ts';

const parent = mkdtempSync(join(tmpdir(), 'debug-test-'));
let agent: FakeAgent | undefined;

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

const ROUTES: Record<string, Route> = {
  'GET /v1/agent/self': { body: { Config: { Version: '1.8.5' }, DebugConfig: { EnableDebug: false } } },
  'GET /v1/agent/host': { body: { Host: { hostname: 'h' } } },
  'GET /v1/agent/members': { body: [{ Name: 'n1' }] },
  'GET /v1/agent/metrics': { body: { Timestamp: 't' } },
};

test('captures are packed, one folder for each interval', async () => {
  agent = await startFakeAgent(ROUTES);
  const clock = new SimulatedClock(Date.UTC(2026, 10, 21, 7, 3, 57, 402));
  const output = join(parent, 'dbg');
  const targets = ['metrics', 'agent', 'host', 'cluster'];
  const running = runCli(
    [
      'debug',
      '-interval=5s',
      '-duration=10s',
      `-output=${output}`,
      ...targets.map((name) => `-capture=${name}`),
    ],
    { address: agent.address, clock },
  );
  const { requests } = agent;
  const captures = () => requests.filter((request) => request.path === '/v1/agent/metrics').length;
  for (const count of [1, 2]) {
    await expect.poll(captures).toBe(count);
    await expect.poll(() => clock.nextDueMs()).toBe(count * 5000);
    clock.fireNext();
  }
  const run = await running;
  expect(run).toEqual({
    code: 0,
    out: `==> Starting debugger and capturing static information...
     Agent Version: '1.8.5'
          Interval: '5s'
          Duration: '10s'
            Output: '${output}.tar.gz'
           Capture: 'metrics, agent, host, cluster'
==> Beginning capture interval 2026-11-21 07:03:57.402 +0000 UTC (0)
==> Capture successful 2026-11-21 07:03:57 +0000 UTC (1)
==> Capture successful 2026-11-21 07:04:02 +0000 UTC (2)
    Saved debug archive: ${output}.tar.gz
`,
    err: '',
  });
  expect(existsSync(output)).toBe(false);
  const list = execFileSync('tar', ['-tzf', `${output}.tar.gz`], { encoding: 'utf8' });
  expect(list).toBe(
    [
      'dbg/1795244637/metrics.json',
      'dbg/1795244642/metrics.json',
      'dbg/agent.json',
      'dbg/cluster.json',
      'dbg/host.json',
      'dbg/index.json',
      '',
    ].join('\n'),
  );
  execFileSync('tar', ['-xzf', `${output}.tar.gz`, '-C', parent]);
  expect(JSON.parse(readFileSync(join(output, 'index.json'), 'utf8'))).toEqual({
    Version: 1,
    AgentVersion: '1.8.5',
    Interval: '5s',
    Duration: '10s',
    Targets: targets,
  });
  expect(readFileSync(join(output, 'host.json'), 'utf8')).toBe(
    '{\n    "Host": {\n        "hostname": "h"\n    }\n}\n',
  );
});

test('an interrupt ends the capture early and keeps what there is; logs end with the interval', async () => {
  agent = await startFakeAgent({
    ...ROUTES,
    'GET /v1/agent/monitor': { body: 'a line\n', staysOpen: true },
  });
  const interruption = new AbortController();
  const output = join(parent, 'interrupted');
  const { open } = agent;
  const running = runCli(
    ['debug', `-output=${output}`, '-archive=false', '-capture=logs', '-capture=pprof'],
    {
      address: agent.address,
      clock: new SimulatedClock(1_000_000),
      interrupted: interruption.signal,
    },
  );
  await expect.poll(() => open.size).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  interruption.abort('SIGINT');
  const run = await running;
  expect(run.code).toBe(0);
  expect(run.err).toMatch(/^\[WARN\] Unable to capture pprof\. /);
  expect(run.out).toContain(`    Saved debug directory: ${output}\n`);
  expect(readFileSync(join(output, '1000', 'consul.log'), 'utf8')).toMatch(/^(a line\n)?$/);
});

test('what cannot be captured is refused before anything is written', async () => {
  agent = await startFakeAgent(ROUTES);
  const existing = join(parent, 'existing');
  mkdirSync(existing);
  const refusal = async (...args: string[]) => (await runCli(['debug', ...args], agent)).err;
  const prefix = '==> Capture validation failed: ';
  expect(await refusal('-duration=5s')).toBe(`${prefix}duration must be longer than 10s\n`);
  expect(await refusal('-interval=1s')).toBe(`${prefix}interval must be longer than 10s\n`);
  expect(await refusal('-duration=20s', '-interval=1m')).toBe(
    `${prefix}duration (20s) must be longer than interval (1m0s)\n`,
  );
  expect(await refusal('-capture=zz')).toBe(`${prefix}target not found: zz\n`);
  expect(await refusal(`-output=${existing}`)).toMatch(`output directory already exists: ${existing}\n`);
  expect(await refusal('x')).toBe('==> debug: Too many arguments provided, expected 0\n');
  expect((await runCli(['debug'])).err).toBe(
    `${prefix}error querying target agent: Get "http://127.0.0.1:1/v1/agent/self": dial tcp 127.0.0.1:1: connect: connection refused. verify connectivity and agent address\n`,
  );
});
