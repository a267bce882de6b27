import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type FakeAgent, type Route, startFakeAgent } from '../../testing/fake-agent.ts';
import { runCli } from '../../testing/run-cli.ts';

let agent: FakeAgent | undefined;

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

async function acl(args: readonly string[], routes: Readonly<Record<string, Route>> = {}, stdin = '') {
  await agent?.close();
  agent = await startFakeAgent(routes);
  return runCli(['acl', ...args], { address: agent.address, stdin });
}

const failed = (err: string) => ({ code: 1, out: '', err });
const done = (out: string) => ({ code: 0, out, err: '' });
const sentBody = () => JSON.parse(agent?.requests.at(-1)?.body.toString() ?? '');

const TOKEN_ID = '3ae8d4cf-b607-959b-a6bc-e68a85bdc00a';
const POLICY_ID = '109a29e9-431a-f40e-91b0-c2493abf858a';
const ROLE_ID = '2ccefdd0-0ae3-c4f2-7553-cff1bd335b4d';
const TOKEN = {
  AccessorID: TOKEN_ID,
  SecretID: 'bd36a681-d45e-86d4-3a4e-83634116860b',
  Description: 't1',
  Policies: [{ ID: POLICY_ID, Name: 'p1' }],
  Roles: [{ ID: ROLE_ID, Name: 'r1' }],
  ServiceIdentities: [{ ServiceName: 'web' }, { ServiceName: 'db', Datacenters: ['dc1', 'dc2'] }],
  NodeIdentities: [{ NodeName: 'n1', Datacenter: 'dc1' }],
  Local: false,
  AuthMethod: 'minikube',
  ExpirationTime: '2026-11-21T08:05:28.7Z',
  CreateTime: '2026-11-21T07:05:28.711179632Z',
  Hash: '+CZo',
  CreateIndex: 12,
  ModifyIndex: 13,
};
const POLICY = {
  ID: POLICY_ID,
  Name: 'p1',
  Description: 'd one',
  Rules: 'key "" { policy = "read" }',
  Datacenters: ['dc1', 'dc2'],
  Hash: 'SfM=',
  CreateIndex: 10,
  ModifyIndex: 11,
};
const ROLE = {
  ID: ROLE_ID,
  Name: 'r1',
  Description: '',
  Policies: [{ ID: POLICY_ID, Name: 'p1' }],
  Hash: 'SfM=',
  CreateIndex: 10,
  ModifyIndex: 11,
};

test('a token is shown with everything it may do', async () => {
  const routes: Record<string, Route> = { [`GET /v1/acl/token/${TOKEN_ID}`]: { body: TOKEN } };
  expect(await acl(['token', 'read', '-meta', `-id=${TOKEN_ID}`], routes)).toEqual(
    done(`AccessorID:       ${TOKEN_ID}
SecretID:         bd36a681-d45e-86d4-3a4e-83634116860b
Description:      t1
Local:            false
Auth Method:      minikube
Create Time:      2026-11-21 07:05:28.711179632 +0000 UTC
Expiration Time:  2026-11-21 08:05:28.7 +0000 UTC
Hash:             f82668
Create Index:     12
Modify Index:     13
Policies:
   ${POLICY_ID} - p1
Roles:
   ${ROLE_ID} - r1
Service Identities:
   web (Datacenters: all)
   db (Datacenters: dc1, dc2)
Node Identities:
   n1 (Datacenter: dc1)

`),
  );
  const json = await acl(['token', 'read', '-format=json', `-id=${TOKEN_ID}`], routes);
  expect(json.out).toBe(`${JSON.stringify(TOKEN, null, 4)}\n`);
});

test('tokens are listed without their secrets, a blank line after each', async () => {
  const { SecretID: _, ...stub } = { ...TOKEN, Roles: [], ServiceIdentities: null, AuthMethod: '' };
  const other = { ...stub, AccessorID: 'x', Policies: [], NodeIdentities: [], ExpirationTime: undefined };
  const run = await acl(['token', 'list'], { 'GET /v1/acl/tokens': { body: [stub, other] } });
  expect(run.out).toBe(`AccessorID:       ${TOKEN_ID}
Description:      t1
Local:            false
Create Time:      2026-11-21 07:05:28.711179632 +0000 UTC
Expiration Time:  2026-11-21 08:05:28.7 +0000 UTC
Legacy:           false
Policies:
   ${POLICY_ID} - p1
Node Identities:
   n1 (Datacenter: dc1)

AccessorID:       x
Description:      t1
Local:            false
Create Time:      2026-11-21 07:05:28.711179632 +0000 UTC
Legacy:           false

`);
});

test('creating a token sends links, identities and options', async () => {
  const run = await acl(
    [
      'token',
      'create',
      '-description=d',
      '-local',
      '-policy-name=p1',
      `-policy-id=${POLICY_ID.slice(0, 6)}`,
      '-role-name=r1',
      '-service-identity=web:dc1,dc2',
      '-node-identity=n1:dc1',
      '-expires-ttl=1h',
    ],
    { 'PUT /v1/acl/token': { body: TOKEN }, 'GET /v1/acl/policies': { body: [POLICY] } },
  );
  expect(run.code).toBe(0);
  expect(sentBody()).toEqual({
    Description: 'd',
    Local: true,
    ExpirationTTL: '1h',
    Policies: [{ Name: 'p1' }, { ID: POLICY_ID }],
    Roles: [{ Name: 'r1' }],
    ServiceIdentities: [{ ServiceName: 'web', Datacenters: ['dc1', 'dc2'] }],
    NodeIdentities: [{ NodeName: 'n1', Datacenter: 'dc1' }],
  });
});

test('updating a token replaces its lists, or adds to those that are merged', async () => {
  const routes: Record<string, Route> = {
    [`GET /v1/acl/token/${TOKEN_ID}`]: { body: TOKEN },
    [`PUT /v1/acl/token/${TOKEN_ID}`]: { body: TOKEN },
  };
  const args = ['token', 'update', `-id=${TOKEN_ID}`, '-policy-name=p1', '-policy-name=p2'];
  await acl(args, routes);
  expect(sentBody()).toMatchObject({
    AccessorID: TOKEN_ID,
    Description: 't1',
    Policies: [{ Name: 'p1' }, { Name: 'p2' }],
    Roles: [],
    ServiceIdentities: [],
  });
  await acl([...args, '-merge-policies', '-merge-roles', '-description=new'], routes);
  expect(sentBody()).toMatchObject({
    Description: 'new',
    Policies: [{ ID: POLICY_ID, Name: 'p1' }, { Name: 'p2' }],
    Roles: [{ ID: ROLE_ID, Name: 'r1' }],
    NodeIdentities: [],
  });
  expect(await acl([...args, '-upgrade-legacy'], routes)).toEqual(
    failed("Can't use -upgrade-legacy on a non-legacy token\n"),
  );
});

test('tokens are found by the beginning of their ID', async () => {
  const tokens: Route = { body: [TOKEN, { ...TOKEN, AccessorID: '3ae8ffff-b607-959b-a6bc-e68a85bdc00a' }] };
  const routes: Record<string, Route> = {
    'GET /v1/acl/tokens': tokens,
    'DELETE /v1/acl/token/*': { body: 'true' },
  };
  expect(await acl(['token', 'delete', '-id=3ae8d'], routes)).toEqual(
    done(`Token "${TOKEN_ID}" deleted successfully\n`),
  );
  expect(await acl(['token', 'delete', '-id=3ae8'], routes)).toEqual(
    failed('Error determining token ID: Partial token ID is not unique\n'),
  );
  expect(await acl(['token', 'delete', '-id=zzz'], routes)).toEqual(
    failed('Error determining token ID: No such token ID with prefix: zzz\n'),
  );
  expect((await acl(['token', 'delete', '-id=anonymous'], routes)).out).toBe(
    'Token "00000000-0000-0000-0000-000000000002" deleted successfully\n',
  );
});

test('cloning and bootstrapping show the new token', async () => {
  const clone = await acl(['token', 'clone', `-id=${TOKEN_ID}`, '-description=c'], {
    [`PUT /v1/acl/token/${TOKEN_ID}/clone`]: { body: TOKEN },
  });
  expect(clone.out).toMatch(/^AccessorID: /);
  expect(sentBody()).toEqual({ Description: 'c' });
  const first = await acl(['bootstrap', '-format=json'], {
    'PUT /v1/acl/bootstrap': { body: { ID: TOKEN.SecretID, ...TOKEN } },
  });
  expect(JSON.parse(first.out)).toEqual(TOKEN);
  const second = await acl(['bootstrap'], { 'PUT /v1/acl/bootstrap': { status: 403, body: 'no longer' } });
  expect(second.err).toBe('Failed ACL bootstrapping: Unexpected response code: 403 (no longer)\n');
});

test('policies are shown with their rules and listed without', async () => {
  const routes: Record<string, Route> = {
    'GET /v1/acl/policy/name/p1': { body: POLICY },
    [`GET /v1/acl/policy/${POLICY_ID}`]: { body: POLICY },
    'GET /v1/acl/policies': { body: [POLICY, { ...POLICY, Name: 'p2', Datacenters: null }] },
  };
  expect(await acl(['policy', 'read', '-name=p1'], routes)).toEqual(
    done(`ID:           ${POLICY_ID}
Name:         p1
Description:  d one
Datacenters:  dc1, dc2
Rules:
key "" { policy = "read" }
`),
  );
  expect((await acl(['policy', 'list', '-meta'], routes)).out).toBe(`p1:
   ID:           ${POLICY_ID}
   Description:  d one
   Datacenters:  dc1, dc2
   Hash:         49f3
   Create Index: 10
   Modify Index: 11
p2:
   ID:           ${POLICY_ID}
   Description:  d one
   Datacenters:${'  '}
   Hash:         49f3
   Create Index: 10
   Modify Index: 11

`);
});

test('policies are created from text, a file, input, or a legacy token', async () => {
  const routes: Record<string, Route> = {
    'PUT /v1/acl/policy': { body: POLICY },
    'GET /v1/acl/rules/translate/old': { body: 'translated' },
  };
  const file = join(mkdtempSync(join(tmpdir(), 'acl-test-')), 'rules.hcl');
  writeFileSync(file, 'from file');
  const rulesOf = async (...args: string[]) => {
    const run = await acl(['policy', 'create', '-name=p1', ...args], routes, 'from input');
    expect(run.code).toBe(0);
    return sentBody().Rules;
  };
  expect(await rulesOf('-rules=text')).toBe('text');
  expect(await rulesOf(`-rules=@${file}`)).toBe('from file');
  expect(await rulesOf('-rules=-')).toBe('from input');
  expect(await rulesOf('-from-token=old')).toBe('translated');
  expect(sentBody()).toEqual({ Name: 'p1', Description: '', Datacenters: [], Rules: 'translated' });
});

test('updating a policy keeps what is not given, unless told otherwise', async () => {
  const routes: Record<string, Route> = {
    [`GET /v1/acl/policy/${POLICY_ID}`]: { body: POLICY },
    [`PUT /v1/acl/policy/${POLICY_ID}`]: { body: POLICY },
  };
  await acl(['policy', 'update', `-id=${POLICY_ID}`, '-name=p9'], routes);
  expect(sentBody()).toEqual({ ...POLICY, Name: 'p9' });
  await acl(['policy', 'update', `-id=${POLICY_ID}`, '-name=p9', '-no-merge'], routes);
  expect(sentBody()).toEqual({ ID: POLICY_ID, Name: 'p9', Description: '', Rules: '' });
});

test('roles are shown, created and changed', async () => {
  const routes: Record<string, Route> = {
    'GET /v1/acl/role/name/r1': { body: ROLE },
    [`GET /v1/acl/role/${ROLE_ID}`]: { body: ROLE },
    [`PUT /v1/acl/role/${ROLE_ID}`]: { body: ROLE },
    'PUT /v1/acl/role': { body: ROLE },
    'GET /v1/acl/roles': { body: [ROLE] },
  };
  const block = `Description:${'  '}\nPolicies:\n   ${POLICY_ID} - p1\n`;
  expect((await acl(['role', 'read', '-name=r1'], routes)).out).toBe(
    `ID:           ${ROLE_ID}\nName:         r1\n${block}\n`,
  );
  expect((await acl(['role', 'list'], routes)).out).toBe(
    `r1:\n   ID:           ${ROLE_ID}\n${block.replace(/^(?=.)/gm, '   ')}\n`,
  );
  await acl(['role', 'create', '-name=r1', '-service-identity=web'], routes);
  expect(sentBody()).toMatchObject({ Name: 'r1', ServiceIdentities: [{ ServiceName: 'web' }] });
  await acl(['role', 'update', `-id=${ROLE_ID}`, '-policy-name=p2'], routes);
  expect(sentBody().Policies).toEqual([{ ID: POLICY_ID, Name: 'p1' }, { Name: 'p2' }]);
  await acl(['role', 'update', `-id=${ROLE_ID}`, '-policy-name=p2', '-no-merge'], routes);
  expect(sentBody().Policies).toEqual([{ Name: 'p2' }]);
});

test('auth methods and binding rules are shown, changed and deleted', async () => {
  const method = {
    Name: 'm',
    Type: 'jwt',
    Description: 'd',
    Config: { A: 1 },
    CreateIndex: 1,
    ModifyIndex: 1,
  };
  const rule = {
    ID: ROLE_ID,
    Description: 'd',
    AuthMethod: 'm',
    Selector: 's',
    BindType: 'service',
    BindName: 'b',
    CreateIndex: 1,
    ModifyIndex: 1,
  };
  const routes: Record<string, Route> = {
    'GET /v1/acl/auth-method/m': { body: method },
    'PUT /v1/acl/auth-method/m': { body: method },
    'DELETE /v1/acl/auth-method/m': { body: 'true' },
    'GET /v1/acl/auth-methods': { body: [] },
    'GET /v1/acl/binding-rules': { body: [rule] },
    [`GET /v1/acl/binding-rule/${ROLE_ID}`]: { body: rule },
    [`PUT /v1/acl/binding-rule/${ROLE_ID}`]: { body: rule },
    [`DELETE /v1/acl/binding-rule/${ROLE_ID}`]: { body: 'true' },
  };
  expect((await acl(['auth-method', 'read', '-name=m'], routes)).out).toBe(
    'Name:           m\nType:           jwt\nDescription:    d\nConfig:\n{\n  "A": 1\n}\n',
  );
  expect(await acl(['auth-method', 'list'], routes)).toEqual(done(''));
  await acl(['auth-method', 'update', '-name=m', '-config={"B":2}', '-max-token-ttl=5m'], routes);
  expect(sentBody()).toMatchObject({ Type: 'jwt', MaxTokenTTL: '5m', Config: { A: 1, B: 2 } });
  expect((await acl(['auth-method', 'delete', '-name=m'], routes)).out).toBe(
    'Auth method "m" deleted successfully\n',
  );
  expect((await acl(['auth-method', 'read', '-name=x'], routes)).err).toBe(
    'Auth method not found with name "x"\n',
  );
  expect((await acl(['binding-rule', 'list'], routes)).out).toBe(
    `${ROLE_ID}:\n   Description:  d\n   AuthMethod:   m\n   BindType:     service\n   BindName:     b\n   Selector:     s\n\n`,
  );
  await acl(['binding-rule', 'update', `-id=${ROLE_ID}`, '-bind-name=c'], routes);
  expect(sentBody()).toMatchObject({ BindName: 'c', Selector: 's', AuthMethod: 'm' });
  expect((await acl(['binding-rule', 'delete', '-id=2cce'], routes)).out).toBe(
    `Binding rule "${ROLE_ID}" deleted successfully\n`,
  );
});

test('the agent’s tokens are set, legacy rules translated', async () => {
  const routes: Record<string, Route> = {
    'PUT /v1/agent/token/agent_master': {},
    'POST /v1/acl/rules/translate': { body: 'new rules' },
  };
  expect(await acl(['set-agent-token', 'master', 'abc'], routes)).toEqual(
    done('ACL token "master" set successfully\n'),
  );
  expect(sentBody()).toEqual({ Token: 'abc' });
  expect(await acl(['translate-rules', '-'], routes, 'old rules')).toEqual(done('new rules\n'));
  expect(agent?.requests.at(-1)?.body.toString()).toBe('old rules');
});

const noName = "Missing require '-name' flag\n\nUsage: ";
test.each([
  [['token', 'read'], 'Must specify the -id parameter\n'],
  [['token', 'create'], 'Cannot create a token without specifying -policy-name, '],
  [['token', 'create', '-service-identity=a:b:c'], 'Malformed -service-identity argument: "a:b:c"\n'],
  [['token', 'create', '-node-identity=a'], 'Malformed -node-identity argument: "a"\n'],
  [['token', 'update'], 'Cannot update a token without specifying the -id parameter\n'],
  [['token', 'list', '-format=xml'], 'Unknown format: xml\n'],
  [['token', 'list'], 'Failed to retrieve the token list: Unexpected response code: 404 ('],
  [['policy', 'create'], noName],
  [
    ['policy', 'create', '-name=a', '-rules=x', '-from-token=y'],
    'Cannot specify both -rules and -from-token\n',
  ],
  [['policy', 'create', '-name=a', '-rules=@/no'], 'Error loading rules: Failed to read file: open /no: '],
  [['policy', 'read'], 'Must specify either the -id or -name parameters\n'],
  [['policy', 'read', '-name=zz'], 'Error determining policy ID: No such policy with name zz\n'],
  [['role', 'create'], noName],
  [['role', 'create', '-name=a'], 'Cannot create a role without specifying -policy-name, '],
  [['role', 'update'], 'Cannot update a role without specifying the -id parameter\n'],
  [['role', 'delete'], 'Must specify the -id or -name parameters\n'],
  [['role', 'read', `-id=${ROLE_ID}`], `Role not found with ID "${ROLE_ID}"\n`],
  [['auth-method', 'create'], "Missing required '-type' flag\n"],
  [['auth-method', 'create', '-name=a', '-type=jwt', '-config=['], "Error parsing JSON for '-config' flag: "],
  [['binding-rule', 'create'], "Missing required '-method' flag\n"],
  [['binding-rule', 'read', `-id=${ROLE_ID}`], `Binding rule not found with ID "${ROLE_ID}"\n`],
  [['set-agent-token'], 'Error! Missing TYPE and TOKEN arguments\n'],
  [['set-agent-token', 'agent'], 'Error! Missing TOKEN argument\n'],
  [['set-agent-token', 'a', 'b', 'c'], 'Error! Too many arguments: expected 2 got 3\n'],
  [['set-agent-token', 'other', 'b'], 'Unknown token type\n'],
  [['translate-rules'], 'Error! Missing TRANSLATE argument\n'],
  [
    ['translate-rules', '-token-secret', '-token-accessor', 'x'],
    'Error - cannot specify both -token-secret and -token-accessor\n',
  ],
])('acl %j is refused', async (args, text) => {
  const run = await acl(args);
  expect(run.code).toBe(1);
  expect(run.out).toBe('');
  expect(run.err.slice(0, text.length)).toBe(text);
});
