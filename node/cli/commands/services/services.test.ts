import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeAgent, startFakeAgent } from '../../testing/fake-agent.ts';
import { runCli } from '../../testing/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'services-test-'));
let agent: FakeAgent;

beforeEach(async () => {
  agent = await startFakeAgent({
    'PUT /v1/agent/service/register': {},
    'PUT /v1/agent/service/deregister/*': {},
  });
});
afterEach(() => agent.close());

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const sentBody = () => JSON.parse(agent.requests.at(-1)?.body.toString() ?? '');

test('flags make one service', async () => {
  const run = await runCli(
    [
      'services',
      'register',
      '-name=web',
      '-id=web1',
      '-port=80',
      '-tag=a',
      '-tag=b',
      '-meta=k=v=w',
      '-address=10.0.0.1',
      '-tagged-address=lan=10.0.0.1:81',
      '-tagged-address=wan=[2001:db8::1]:82',
      '-tagged-address=v6=2001:db8::2',
    ],
    agent,
  );
  expect(run).toEqual({ code: 0, out: 'Registered service: web\n', err: '' });
  expect(sentBody()).toEqual({
    ID: 'web1',
    Name: 'web',
    Tags: ['a', 'b'],
    Port: 80,
    Address: '10.0.0.1',
    TaggedAddresses: {
      lan: { Address: '10.0.0.1', Port: 81 },
      wan: { Address: '2001:db8::1', Port: 82 },
      v6: { Address: '2001:db8::2', Port: 0 },
    },
    Meta: { k: 'v=w' },
  });
});

test('files hold one or several services, in either format, with their checks in the form of the API', async () => {
  const json = file(
    'one.json',
    JSON.stringify({
      datacenter: 'ignored',
      service: {
        name: 'db',
        port: 5432,
        weights: { passing: 5, warning: 1 },
        connect: { sidecar_service: { port: 21000 } },
        check: {
          http: 'http://x/health',
          interval: '10s',
          timeout: '1500ms',
          header: { A: ['b'] },
          deregister_critical_service_after: '1h',
        },
      },
    }),
  );
  const hcl = file(
    'two.hcl',
    `services {
       name = "a"
       checks = [ { ttl = "10s" }, { tcp = "x:1" interval = "5s" id = "t" } ]
     }
     services {
       name = "b"
     }`,
  );
  const run = await runCli(['services', 'register', json, hcl], agent);
  expect(run).toEqual({
    code: 0,
    out: 'Registered service: db\nRegistered service: a\nRegistered service: b\n',
    err: '',
  });
  expect(agent.requests.map((request) => JSON.parse(request.body.toString()))).toEqual([
    {
      Name: 'db',
      Port: 5432,
      Weights: { Passing: 5, Warning: 1 },
      Connect: { SidecarService: { Port: 21000 } },
      Check: {
        HTTP: 'http://x/health',
        Interval: '10s',
        Timeout: '1.5s',
        Header: { A: ['b'] },
        DeregisterCriticalServiceAfter: '1h0m0s',
      },
    },
    { Name: 'a', Checks: [{ TTL: '10s' }, { CheckID: 't', TCP: 'x:1', Interval: '5s' }] },
    { Name: 'b' },
  ]);
});

test('deregistering takes the ID, or the IDs and names of files', async () => {
  expect(await runCli(['services', 'deregister', '-id=a b'], agent)).toEqual({
    code: 0,
    out: 'Deregistered service: a b\n',
    err: '',
  });
  const path = file('gone.json', '{"services": [{"id": "x1", "name": "x"}, {"name": "y"}]}');
  expect((await runCli(['services', 'deregister', path], agent)).out).toBe(
    'Deregistered service: x1\nDeregistered service: y\n',
  );
  expect(agent.requests.map((request) => request.path.split('/').at(-1))).toEqual(['a b', 'x1', 'y']);
});

test('the agent may refuse', async () => {
  await agent.close();
  agent = await startFakeAgent({
    'PUT /v1/agent/service/register': { status: 400, body: 'Invalid service address' },
    'PUT /v1/agent/service/deregister/*': { status: 403, body: 'Permission denied' },
  });
  expect(await runCli(['services', 'register', '-name=web'], agent)).toEqual({
    code: 1,
    out: '',
    err: 'Error registering service "web": Unexpected response code: 400 (Invalid service address)\n',
  });
  expect((await runCli(['services', 'deregister', '-id=web'], agent)).err).toBe(
    'Error registering service "": Unexpected response code: 403 (Permission denied)\n',
  );
});

test.each([
  [['register'], 'Service registration requires at least one argument or flags.'],
  [['register', '-id=a', 'x.json'], 'Service registration requires arguments or -id, not both.'],
  [['register', '-name=a', '-tagged-address=lan=:80'], 'Invalid Tagged Address: ":80" has no address'],
  [['register', '-name=a', '-tagged-address=lan=h:p'], 'Invalid Tagged Address: "h:p" is not address:port'],
  [['deregister'], 'Service deregistration requires at least one argument or -id.'],
  [['deregister', '-id=a', 'x.json'], 'Service deregistration requires arguments or -id, not both.'],
  [
    ['register', '/nowhere/x.json'],
    'Error: config: Open failed on /nowhere/x.json. open /nowhere/x.json: no such file or directory',
  ],
])('services %j is refused: %s', async (args, text) => {
  expect(await runCli(['services', ...args], agent)).toEqual({ code: 1, out: '', err: `${text}\n` });
});

test('a broken file is named', async () => {
  const path = file('bad.json', '{"service": ');
  expect((await runCli(['services', 'register', path], agent)).err).toBe(
    `Error: failed to parse ${path}: unexpected end of JSON input\n`,
  );
  const other = file('service.txt', '');
  expect((await runCli(['services', 'register', other], agent)).err).toBe(
    `Error: skipping file ${other}, extension must be .hcl or .json, or config format must be set\n`,
  );
});
