import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger, formatLogLine } from '../../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../../shared/simulated-env.ts';
import {
  type CheckDefinition,
  EMPTY_CHECK_DEFINITION,
  EMPTY_SERVICE_DEFINITION,
  type ServiceDefinition,
} from '../../../shared/types/definitions.ts';
import { FakeBackend } from '../testing/fake-backend.ts';
import { DefinitionFiles, readFolder } from './definition-files.ts';
import { createLocalAgent } from './local-agent.ts';
import { fileNameOf } from './registration.ts';
import type { Definitions, LocalAgent, LocalAgentOptions } from './types.ts';

const API = { source: 'api', replaceExistingChecks: false } as const;
const NOTHING: Definitions = { services: [], checks: [] };

let dataDir: string;
let env: SimulatedEnv;
let backend: FakeBackend;
let lines: string[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'local-agent-'));
  env = simulatedEnv(1);
  backend = new FakeBackend();
  lines = [];
});
afterEach(() => rmSync(dataDir, { recursive: true }));

async function startAgent(
  definitions: Definitions = NOTHING,
  fields: Partial<LocalAgentOptions> = {},
): Promise<LocalAgent> {
  const write = (record: Parameters<typeof formatLogLine>[0]) =>
    lines.push(formatLogLine({ ...record, timeMs: 0 }).slice('1970-01-01T00:00:00.000Z '.length));
  const agent = createLocalAgent({
    nodeName: 'n1',
    nodeId: 'id-1',
    nodeAddress: '127.0.0.1',
    taggedAddresses: { lan: '127.0.0.1' },
    nodeMeta: {},
    datacenter: 'dc1',
    dataDir,
    backend,
    env,
    log: createLogger('agent', [{ wants: (level) => level !== 'DEBUG' && level !== 'INFO', write }], () => 0),
    clusterSize: () => 1,
    enableScriptChecks: true,
    enableLocalScriptChecks: true,
    ...fields,
  });
  await agent.start(definitions);
  return agent;
}

const service = (fields: Partial<ServiceDefinition>): ServiceDefinition => ({
  ...EMPTY_SERVICE_DEFINITION,
  name: 'web',
  ...fields,
});
const check = (fields: Partial<CheckDefinition>): CheckDefinition => ({
  ...EMPTY_CHECK_DEFINITION,
  ...fields,
});
const ttl = (fields: Partial<CheckDefinition> = {}): CheckDefinition => check({ ttlMs: 600_000, ...fields });
const pathOf = (folder: string, id: string) => join(dataDir, folder, fileNameOf(id));
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

describe('the files', () => {
  it('are Consul’s, private, and there before the registration is answered', async () => {
    const agent = await startAgent();
    await agent.registerService(service({ port: 80, token: 'secret', checks: [ttl()] }), API);
    const path = pathOf('services', 'web');
    expect(path.endsWith('/services/2567a5ec9705eb7ac2c984033e06189d')).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(json(path)).toEqual({ Token: 'secret', Service: agent.services().get('web'), Source: 'remote' });
    expect(json(pathOf('checks', 'service:web'))).toMatchObject({
      Check: { CheckID: 'service:web', Status: 'critical' },
      ChkType: { TTL: 600_000_000_000, Name: "Service 'web' check" },
      Token: 'secret',
      Source: 'remote',
    });
    await agent.updateTtl('service:web', 'passing', 'fine');
    await agent.stop();
    expect(json(pathOf('checks/state', 'service:web'))).toEqual({
      CheckID: 'service:web',
      Output: 'fine',
      Status: 'passing',
      Expires: Math.floor((env.clock.nowMs() + 600_000) / 1000),
    });
    expect(readdirSync(join(dataDir, 'services'))).toHaveLength(1);
  });

  it('go with the item', async () => {
    const agent = await startAgent();
    await agent.registerService(service({ checks: [ttl()] }), API);
    await agent.updateTtl('service:web', 'passing', '');
    await agent.deregisterService('web');
    await agent.stop();
    for (const folder of ['services', 'checks/state']) expect(readdirSync(join(dataDir, folder))).toEqual([]);
    expect(readdirSync(join(dataDir, 'checks'))).toEqual(['state']);
  });

  it('are not written for definitions from files', async () => {
    const agent = await startAgent({
      services: [service({ checks: [ttl()] })],
      checks: [ttl({ name: 'own' })],
    });
    await agent.stop();
    expect(existsSync(join(dataDir, 'services'))).toBe(false);
    expect(existsSync(join(dataDir, 'checks'))).toBe(false);
  });

  it('that cannot be written refuse the registration and leave nothing behind', async () => {
    const agent = await startAgent();
    writeFileSync(join(dataDir, 'services'), 'in the way');
    await expect(agent.registerService(service({ checks: [ttl()] }), API)).rejects.toThrow(
      /^failed to persist definition: /,
    );
    expect(agent.services().size + agent.checks().size).toBe(0);
    await agent.stop();
    expect(readdirSync(join(dataDir, 'checks'))).toEqual([]);
    expect(backend.services.size).toBe(0);
  });
});

describe('a restart', () => {
  it('brings back services, checks and all that makes them run', async () => {
    const first = await startAgent();
    const full = service({
      id: 'web-1',
      tags: ['a', 'b'],
      meta: { k: 'v', empty: '' },
      port: 8080,
      address: '10.0.0.1',
      weights: { Passing: 5, Warning: 0 },
      enableTagOverride: true,
      connectNative: true,
      token: 't',
      checks: [
        check({
          http: 'http://127.0.0.1:1/',
          intervalMs: 3_600_000,
          timeoutMs: 1500,
          header: { A: ['1', '2'] },
          method: 'PUT',
          body: 'b',
          tlsSkipVerify: true,
          successBeforePassing: 2,
          failuresBeforeCritical: 3,
          deregisterCriticalServiceAfterMs: 90_000,
          outputMaxSize: 9,
          notes: 'n',
        }),
        check({ id: 's', name: 'script', scriptArgs: ['true', 'x'], intervalMs: 3_600_000 }),
      ],
    });
    await first.registerService(full, API);
    await first.registerCheck(ttl({ name: 'own' }));
    await first.setNodeMaintenance(true, 'why');
    const before = [[...first.services()], [...first.checks()].sort()];
    await first.stop();
    const filesBefore = await readFolder(join(dataDir, 'checks'));
    const second = await startAgent();
    expect([[...second.services()], [...second.checks()].sort()]).toEqual(before);
    expect(second.stats()).toEqual({ check_monitors: 1, check_ttls: 1, checks: 4, services: 1 });
    // What was decoded encodes to the same again.
    await second.registerService(full, API);
    await second.stop();
    expect(await readFolder(join(dataDir, 'checks'))).toEqual(filesBefore);
    expect(lines).toEqual([]);
  });

  it('restores a sidecar as one', async () => {
    const first = await startAgent();
    await first.registerService(service({ port: 1, sidecar: service({ name: '' }) }), API);
    await first.stop();
    const second = await startAgent();
    await second.deregisterService('web');
    expect(second.services().size).toBe(0);
    await second.stop();
  });

  it('restores the state of a TTL check while it is good, and starts critical otherwise', async () => {
    const first = await startAgent();
    await first.registerCheck(ttl({ name: 'good' }));
    await first.registerCheck(ttl({ name: 'late', ttlMs: 1000 }));
    await first.registerCheck(ttl({ name: 'silent', status: 'passing' }));
    await first.updateTtl('good', 'warning', 'hm');
    await first.updateTtl('late', 'passing', 'fine');
    await first.stop();
    env.clock.advance(5_000);
    const second = await startAgent();
    const shown = (id: string) => `${second.checks().get(id)?.Status} ${second.checks().get(id)?.Output}`;
    expect([shown('good'), shown('late'), shown('silent')]).toEqual(['warning hm', 'critical ', 'critical ']);
    await second.stop();
    expect(existsSync(pathOf('checks/state', 'late'))).toBe(false);
  });

  it('lets definitions from files win and removes what they replace', async () => {
    const first = await startAgent();
    await first.registerService(service({ port: 1, checks: [ttl({ id: 'c', name: 'api' })] }), API);
    await first.updateTtl('c', 'passing', 'up');
    await first.stop();
    const second = await startAgent({
      services: [service({ port: 2, checks: [ttl({ id: 'c', name: 'file' })] })],
      checks: [],
    });
    expect(second.services().get('web')?.Port).toBe(2);
    expect(second.checks().get('c')).toMatchObject({ Name: 'file', Status: 'passing', Output: 'up' });
    await second.stop();
    expect(existsSync(pathOf('services', 'web'))).toBe(false);
    expect(existsSync(pathOf('checks', 'c'))).toBe(false);
  });

  it('does not push what the catalog has, and does not remove it either', async () => {
    const first = await startAgent();
    await first.registerService(service({ port: 1 }), API);
    await first.stop();
    backend.writes.length = 0;
    const second = await startAgent();
    await env.clock.advanceAsync(0);
    expect(backend.log()).toEqual([]);
    await second.stop();
  });

  it('drops a script that is no longer allowed, and a check whose service is gone', async () => {
    const first = await startAgent();
    await first.registerCheck(check({ name: 'script', scriptArgs: ['true'], intervalMs: 3_600_000 }));
    await first.registerService(service({ checks: [ttl()] }), API);
    await first.stop();
    rmSync(pathOf('services', 'web'));
    const second = await startAgent(NOTHING, { enableScriptChecks: false });
    expect(second.checks().size).toBe(0);
    await second.stop();
    expect(lines.sort()).toEqual([
      `[WARN]  agent: Failed to restore check: check=script error="Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"`,
      `[WARN]  agent: Failed to restore check: check=service:web error="ServiceID "web" does not exist"`,
    ]);
    expect(readdirSync(join(dataDir, 'checks'))).toEqual([]);
  });

  it('reads the files of Consul itself', async () => {
    mkdirSync(join(dataDir, 'services'));
    mkdirSync(join(dataDir, 'checks'));
    writeFileSync(
      pathOf('services', 'db'),
      '{"Token":"","Service":{"ID":"db","Service":"db","Tags":null,"Address":"","Meta":null,"Port":5432,"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{},"CreateIndex":0,"ModifyIndex":0},"Source":"remote"}',
    );
    writeFileSync(
      pathOf('checks', 'service:db'),
      `{"Check":{"Node":"old","CheckID":"service:db","Name":"Service 'db' check","Status":"critical","Notes":"","Output":"","ServiceID":"db","ServiceName":"db","ServiceTags":null,"Type":"tcp","Definition":{},"CreateIndex":0,"ModifyIndex":0},"ChkType":{"CheckID":"","Name":"","Status":"","Notes":"","ScriptArgs":null,"HTTP":"","Header":null,"Method":"","Body":"","TCP":"127.0.0.1:1","Interval":3600000000000,"AliasNode":"","AliasService":"","DockerContainerID":"","Shell":"","GRPC":"","GRPCUseTLS":false,"TLSSkipVerify":false,"Timeout":0,"TTL":0,"SuccessBeforePassing":0,"FailuresBeforeCritical":0,"ProxyHTTP":"","ProxyGRPC":"","DeregisterCriticalServiceAfter":0,"OutputMaxSize":0},"Token":"","Source":"remote"}`,
    );
    const agent = await startAgent();
    expect(agent.services().get('db')).toMatchObject({ Port: 5432, Tags: [] });
    expect(agent.checks().get('service:db')).toMatchObject({ Node: 'n1', Type: 'tcp', ServiceTags: [] });
    expect(lines).toEqual([]);
    await agent.stop();
  });
});

describe('damage', () => {
  const good = '{"Token":"","Service":{"ID":"web","Service":"web"},"Source":"remote"}';
  const cases: readonly [string, string, RegExp][] = [
    ['services', '', /Failed decoding service file: file=\S+ error=/],
    ['services', good.slice(0, 30), /Failed decoding service file: file=\S+ error=/],
    ['services', 'null', /error="the file is not an object"/],
    ['services', '{}', /error="Service is missing"/],
    ['services', '{"Service":{"ID":"","Service":"x"}}', /error="Service.ID is empty"/],
    ['services', '{"Service":{"ID":"x","Service":"x","Port":"80"}}', /error="Port is not an integer"/],
    ['services', '{"Service":{"ID":"x","Service":"x","Tags":[1]}}', /error="Tags is not a string"/],
    ['services', '\u0000\u0001\u0002', /Failed decoding service file/],
    [
      'checks',
      '{"Check":{"CheckID":"c"},"ChkType":{"TTL":"soon"}}',
      /Failed decoding check file: file=\S+ error="TTL is not a number"/,
    ],
    ['checks', '[]', /error="the file is not an object"/],
    ['checks/state', '{"CheckID":"c"}', /failed decoding check state: file=\S+ error="Status is missing"/],
  ];
  it.each(cases)('in %s (%j) is told by file name and skipped', async (folder, text, expected) => {
    mkdirSync(join(dataDir, 'services'), { recursive: true });
    mkdirSync(join(dataDir, folder), { recursive: true });
    const damaged = join(dataDir, folder, 'damaged');
    writeFileSync(damaged, text);
    writeFileSync(pathOf('services', 'web'), good);
    const agent = await startAgent();
    expect([...agent.services().keys()]).toEqual(['web']);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(expected);
    expect(lines[0]).toContain(damaged);
    await agent.stop();
    expect(readFileSync(damaged, 'utf8')).toBe(text);
  });

  it('of a service spares the files of its checks', async () => {
    const first = await startAgent();
    await first.registerService(service({ checks: [ttl()] }), API);
    await first.stop();
    writeFileSync(pathOf('services', 'web'), 'broken');
    const second = await startAgent();
    expect(second.checks().size).toBe(0);
    await second.stop();
    expect(existsSync(pathOf('checks', 'service:web'))).toBe(true);
  });

  it('by a write that was cut short is cleaned up', async () => {
    mkdirSync(join(dataDir, 'services'));
    writeFileSync(pathOf('services', 'web'), good);
    writeFileSync(`${pathOf('services', 'web')}.tmp`, good.slice(0, 9));
    const agent = await startAgent();
    expect([...agent.services().keys()]).toEqual(['web']);
    expect(readdirSync(join(dataDir, 'services'))).toHaveLength(1);
    expect(lines).toEqual([]);
    await agent.stop();
  });

  it.skipIf(process.getuid?.() === 0)('to the permissions of a file is told like any other', async () => {
    mkdirSync(join(dataDir, 'services'));
    const path = pathOf('services', 'web');
    writeFileSync(path, good);
    chmodSync(path, 0);
    const agent = await startAgent();
    expect(lines[0]).toContain(path);
    await agent.stop();
  });
});

describe('writing', () => {
  it('many versions of one file ends with the newest, whole at any time', async () => {
    const files = new DefinitionFiles();
    const path = join(dataDir, 'deep', 'file');
    const writes = Array.from({ length: 50 }, (_, i) => files.write(path, `${i}`.repeat(1000), i % 2 === 0));
    await writes[0];
    // Digits repeated a thousand times: a version of any other length would be a torn one.
    expect([1000, 2000]).toContain(readFileSync(path, 'utf8').length);
    await Promise.all(writes);
    expect(readFileSync(path, 'utf8')).toBe('49'.repeat(1000));
  });

  it('and removing keeps the order of the wishes', async () => {
    const files = new DefinitionFiles();
    const path = join(dataDir, 'file');
    void files.write(path, 'a');
    await files.remove(path);
    expect(existsSync(path)).toBe(false);
    void files.remove(path);
    await files.write(path, 'b');
    expect(readFileSync(path, 'utf8')).toBe('b');
  });

  it('of many files at once all arrive', async () => {
    const files = new DefinitionFiles();
    const names = Array.from({ length: 100 }, (_, i) => `f${i}`);
    for (const name of names) files.write(join(dataDir, 'd', name), name);
    await files.idle();
    const read = await readFolder(join(dataDir, 'd'));
    expect(read.map((file) => file.content).sort()).toEqual(names.sort());
  });
});
