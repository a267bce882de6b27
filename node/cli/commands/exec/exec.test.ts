import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeAgent, type SeenRequest, startFakeAgent } from '../../testing/fake-agent.ts';
import { createFakeKv, type FakeKv } from '../../testing/fake-kv.ts';
import { runCli } from '../../testing/run-cli.ts';

let kv: FakeKv;
let agent: FakeAgent;
let fired: SeenRequest | undefined;
/** What the nodes do once the event reaches them. */
let react: (folder: string) => void;

beforeEach(async () => {
  kv = createFakeKv();
  fired = undefined;
  react = () => undefined;
  agent = await startFakeAgent({
    ...kv.routes,
    // Waits end at once: the fake has no clock.
    'GET /v1/kv/*': (request) => {
      request.query.delete('index');
      const read = kv.routes['GET /v1/kv/*'];
      return typeof read === 'function' ? read(request) : {};
    },
    'PUT /v1/event/fire/_rexec': (request) => {
      fired = request;
      const { Prefix, Session } = JSON.parse(request.body.toString()) as Record<string, string>;
      react(`${Prefix}/${Session}`);
      return { body: { ID: 'event-1' } };
    },
  });
});
afterEach(() => agent.close());

const FAST = ['-wait=60ms', '-wait-repl=1ms'];

test('output and exit codes of the nodes are told, and nothing stays behind', async () => {
  let job: unknown;
  react = (folder) => {
    job = JSON.parse(kv.keys.get(`${folder}/job`)?.value ?? '');
    kv.put(`${folder}/n1/ack`, '', '0');
    kv.put(`${folder}/n1/out/00000`, 'up 3 days\n', '0');
    kv.put(`${folder}/n1/exit`, '0', '0');
  };
  const run = await runCli(['exec', ...FAST, '-node=^n', 'uptime', '-p'], agent);
  expect(run).toEqual({
    code: 0,
    out: '    n1: up 3 days\n    n1: \n==> n1: finished with exit code 0\n1 / 1 node(s) completed / acknowledged\n',
    err: '',
  });
  expect(job).toEqual({ Command: 'uptime -p', Wait: 60_000_000 });
  expect(fired?.query.get('node')).toBe('^n');
  const session = agent.requests.find((request) => request.path === '/v1/session/create');
  expect(JSON.parse(session?.body.toString() ?? '')).toEqual({
    Name: 'Remote Exec via n1@dc1',
    TTL: '15s',
    Behavior: 'delete',
  });
  expect(kv.sessions.size).toBe(0);
  expect(agent.requests.at(-1)?.query.has('recurse')).toBe(true);
});

test('a failed node, or one that does not finish, makes the exit code 2', async () => {
  react = (folder) => {
    kv.put(`${folder}/n1/ack`, '', '0');
    kv.put(`${folder}/n1/exit`, '3', '0');
  };
  expect((await runCli(['exec', ...FAST, 'x'], agent)).code).toBe(2);
  react = (folder) => kv.put(`${folder}/n2/ack`, '', '0');
  const unfinished = await runCli(['exec', ...FAST, 'x'], agent);
  expect(unfinished).toEqual({ code: 2, out: '0 / 1 node(s) completed / acknowledged\n', err: '' });
});

test('verbose says every step; scripts come from standard input', async () => {
  react = (folder) => {
    kv.put(`${folder}/n1/ack`, '', '0');
    kv.put(`${folder}/n1/out/00000`, '', '0');
  };
  const run = await runCli(['exec', ...FAST, '-verbose', '-'], { address: agent.address, stdin: 'echo hi' });
  expect(run.out.replace(/session-\d+/, 'S').replace(/\d+\.\d\d seconds/, 'T seconds')).toBe(
    `Created remote execution session: S
Uploaded remote execution spec
Fired remote execution event: event-1
==> n1: acknowledged
==> n1: heartbeat received
0 / 1 node(s) completed / acknowledged
Completed in T seconds
`,
  );
  const job = agent.requests.find((request) => request.path.endsWith('/job'));
  expect(JSON.parse(job?.body.toString() ?? '').Script).toBe(btoa('echo hi'));
});

test('it says what cannot be done', async () => {
  expect((await runCli(['exec'], agent)).err).toMatch(
    /^Must specify a command to execute\n\nUsage: consul exec /,
  );
  expect((await runCli(['exec', '-shell=false', '-'], agent)).err).toBe(
    'Cannot configure -shell=false when reading from stdin\n',
  );
  expect((await runCli(['exec', '-tag=a', 'x'], agent)).err).toBe(
    'Cannot provide tag filter without service filter.\n',
  );
  expect((await runCli(['exec', 'x'])).err).toMatch(/^Error querying Consul agent: Get /);
  await agent.close();
  agent = await startFakeAgent({
    ...kv.routes,
    'PUT /v1/event/fire/_rexec': { status: 403, body: 'Permission denied' },
  });
  expect(await runCli(['exec', ...FAST, 'x'], agent)).toEqual({
    code: 1,
    out: '',
    err: 'Failed to fire event: Unexpected response code: 403 (Permission denied)\n',
  });
  expect(kv.sessions.size).toBe(0);
});
