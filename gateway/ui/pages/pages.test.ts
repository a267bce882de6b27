import { beforeEach, describe, expect, test } from 'vitest';
import { ApiError } from '../api.ts';
import type { Page } from '../scope.ts';
import { answerOf, type FakeScope, fakeScope } from '../testing.ts';
import { type ElementTree, findAll, h, textOf } from '../tree.ts';
import { keyPage } from './key.ts';
import { kvPage } from './kv.ts';
import { membersPage } from './members.ts';
import { newKeyPage } from './new-key.ts';
import { nodePage } from './node.ts';
import { nodesPage } from './nodes.ts';
import { servicePage } from './service.ts';
import { servicesPage } from './services.ts';

let scope: FakeScope;

beforeEach(() => {
  scope = fakeScope();
});

const drawn = (page: Page) => h('div', {}, page.view());
const text = (page: Page) => textOf(drawn(page));
const element = (page: Page, accepts: (found: ElementTree) => boolean) => {
  const [found] = findAll(drawn(page), accepts);
  if (found === undefined) throw new Error(`not in: ${text(page)}`);
  return found;
};
const button = (page: Page, label: string) =>
  element(page, (found) => found.tag === 'button' && textOf(found) === label);
const links = (page: Page) =>
  findAll(drawn(page), ({ tag }) => tag === 'a').map(({ attributes }) => attributes.href);
/** Calls what listens to the event, as the browser would. */
const fire = async ({ attributes }: ElementTree, event: `on${string}`, value = '') => {
  attributes[event]?.({ target: { value }, preventDefault: () => undefined } as unknown as Event);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

describe('services', () => {
  const summary = (Name: string, ChecksCritical: number) => ({
    Name,
    Tags: ['v1', '<b>'],
    Nodes: ['n1'],
    InstanceCount: 1,
    ChecksPassing: 2,
    ChecksCritical,
  });

  test('are listed with health and tags, and lead to their pages', () => {
    const page = servicesPage(scope);
    expect(text(page)).toContain('Loading');
    scope.give('/v1/internal/ui/services', [summary('web', 1), summary('a/b', 0)]);
    expect(text(page)).toMatch(/a\/b v1 <b> 1 instance on 1 node .*2 passing.* web .*1 critical/);
    expect(links(page)).toEqual(['/ui/dc1/services/a%2Fb', '/ui/dc1/services/web']);
  });

  test('are filtered by words and by status', async () => {
    const page = servicesPage(scope);
    scope.give('/v1/internal/ui/services', [summary('web', 1), summary('db', 0)]);
    await fire(
      element(page, ({ tag }) => tag === 'input'),
      'oninput',
      'name:WEB',
    );
    expect([links(page), text(page)]).toEqual([
      ['/ui/dc1/services/web'],
      expect.stringContaining('1 of 2 services'),
    ]);
    await fire(
      element(page, ({ tag }) => tag === 'select'),
      'onchange',
      'passing',
    );
    expect(text(page)).toContain('Nothing matches');
    await fire(button(page, 'Clear the filter'), 'onclick');
    expect(links(page)).toHaveLength(2);
  });

  test('are drawn in portions', async () => {
    const page = servicesPage(scope);
    scope.give(
      '/v1/internal/ui/services',
      Array.from({ length: 450 }, (_, i) => summary(`s${i}`, 0)),
    );
    expect(links(page)).toHaveLength(200);
    await fire(button(page, 'Show 200 more of 250'), 'onclick');
    await fire(button(page, 'Show 50 more of 50'), 'onclick');
    expect(links(page)).toHaveLength(450);
  });

  test('none: the command that registers one', () => {
    const page = servicesPage(scope);
    scope.give('/v1/internal/ui/services', []);
    expect(text(page)).toContain(`curl -X PUT --data '{"Name":"web"`);
    expect(text(page)).toContain('http://h:1/v1/agent/service/register');
  });
});

describe('failures', () => {
  test('say when it is tried again, and keep what was known', () => {
    const page = nodesPage(scope);
    scope.give('/v1/internal/ui/nodes', [{ Node: 'n1', Address: '10.0.0.1' }]);
    scope.fail('/v1/internal/ui/nodes', new ApiError(500, 'No cluster leader'));
    expect(text(page)).toContain('No cluster leader');
    expect(text(page)).toContain('n1');
  });

  test('of rights offer the token and hide what was shown before', async () => {
    const page = nodesPage(scope);
    scope.give('/v1/internal/ui/nodes', [{ Node: 'n1', Address: '10.0.0.1' }]);
    scope.fail('/v1/internal/ui/nodes', new ApiError(403, 'Permission denied'));
    expect(text(page)).not.toContain('10.0.0.1');
    await fire(button(page, 'Set token'), 'onclick');
    expect(scope.journal).toEqual(['token']);
  });
});

test('a service: instances with address, metadata and the output of failing checks open', () => {
  const page = servicePage(scope, 'web');
  scope.give('/v1/health/service/web', [
    {
      Node: { Node: 'n1', Address: '10.0.0.1' },
      Service: { ID: 'web-1', Service: 'web', Port: 80, Tags: ['v1'], Meta: { team: 'x' } },
      Checks: [{ CheckID: 'c', Name: 'HTTP', Status: 'critical', Output: '<script>boom</script>' }],
    },
  ]);
  expect(text(page)).toMatch(/web-1\s+on\s+n1 10\.0\.0\.1:80 .*team x .*HTTP.*<script>boom<\/script>/);
  expect(element(page, ({ tag }) => tag === 'details').attributes.open).toBe(true);
  expect(links(page)).toContain('/ui/dc1/nodes/n1');
});

test('nodes: the leader is marked, here and on its page', () => {
  const node = {
    Node: 'n1',
    Address: '10.0.0.1',
    Services: [{ ID: 'consul', Service: 'consul', Port: 8300 }],
  };
  const list = nodesPage(scope);
  scope.give('/v1/internal/ui/nodes', [node, { ...node, Node: 'n2', Address: '10.0.0.2' }]);
  expect(text(list)).not.toContain('leader');
  scope.give('/v1/status/leader', '10.0.0.1:8300');
  expect(text(list)).toMatch(/n1 leader .*n2 10/);
  scope = fakeScope();
  const page = nodePage(scope, 'n1');
  scope.give('/v1/internal/ui/node/n1', node);
  scope.give('/v1/status/leader', '10.0.0.1:8300');
  expect(text(page)).toContain('leader');
  scope.give('/v1/internal/ui/node/n1', undefined);
  expect(text(page)).toContain('No such node');
});

test('members and peers', () => {
  const page = membersPage(scope);
  scope.give('/v1/agent/members', [
    { Name: 'n1', Addr: '10.0.0.1', Port: 8301, Status: 4, Tags: { role: 'consul' } },
  ]);
  const peer = { ID: 'x', Node: 'n1', Address: '10.0.0.1:8300', Leader: true, Voter: false };
  scope.give('/v1/operator/raft/configuration', { Servers: [peer] });
  scope.fail('/v1/agent/self', new ApiError(403, 'Permission denied'));
  expect(text(page)).toMatch(/n1 .*failed 10\.0\.0\.1:8301 server .*leader no 10\.0\.0\.1:8300/);
  expect(text(page)).toContain('Permission denied');
});

describe('keys', () => {
  const entry = (Value: string, ModifyIndex: number) => [
    { Key: 'a/b', Value, Flags: 42, ModifyIndex, CreateIndex: 5, LockIndex: 0 },
  ];
  const opened = () => {
    const page = keyPage(scope, 'a/b');
    scope.give('/v1/kv/a/b', entry('b25l', 7));
    return page;
  };
  const typeValue = (page: Page, value: string) =>
    fire(
      element(page, ({ attributes }) => attributes.id === 'value'),
      'oninput',
      value,
    );
  const submit = (page: Page) =>
    fire(
      element(page, ({ tag }) => tag === 'form'),
      'onsubmit',
    );

  test('folder: folders first; names that no URL carries are shown without a link', () => {
    const page = kvPage(scope, 'a/');
    scope.give('/v1/kv/a/', ['a/k', 'a/f/', 'a//']);
    expect(links(page)).toEqual([
      '/ui/dc1/kv/',
      '/ui/dc1/kv/a/',
      '/ui/dc1/kv/a/create',
      '/ui/dc1/kv/a/f/',
      '/ui/dc1/kv/a/k/edit',
    ]);
    expect(text(page)).toContain('two slashes');
  });

  test('folder: deleted only after a yes', async () => {
    const page = kvPage(scope, 'a/');
    scope.give('/v1/kv/a/', ['a/k']);
    await fire(button(page, 'Delete folder'), 'onclick');
    expect(scope.calls).toEqual([]);
    scope.question?.act();
    expect(scope.calls[0]).toMatchObject({ method: 'DELETE', path: '/v1/kv/a/', query: { recurse: true } });
  });

  test('saving checks the index that the fields came from', async () => {
    const page = opened();
    expect(button(page, 'Save').attributes.disabled).toBe(true);
    await typeValue(page, 'two');
    await submit(page);
    expect(scope.calls[0]).toMatchObject({ method: 'PUT', query: { cas: 7, flags: '42' } });
    expect(new TextDecoder().decode(scope.calls[0]?.body)).toBe('two');
    expect(scope.journal).toEqual(['Saved a/b', 'refresh /v1/kv/a/b']);
    scope.give('/v1/kv/a/b', entry('dHdv', 8));
    expect(button(page, 'Save').attributes.disabled).toBe(true);
  });

  test('a value changed elsewhere is neither overwritten nor hidden', async () => {
    const page = opened();
    await typeValue(page, 'mine');
    scope.give('/v1/kv/a/b', entry('dGhlaXJz', 9));
    expect(text(page)).toContain('changed elsewhere');
    scope.nextAnswer = answerOf(false);
    await submit(page);
    expect(scope.calls[0]).toMatchObject({ query: { cas: 7 } });
    expect(text(page)).toContain('not saved');
    await fire(button(page, 'Load stored value'), 'onclick');
    expect(element(page, ({ tag }) => tag === 'textarea').attributes.value).toBe('theirs');
  });

  test('a refusal is shown in the server’s words', async () => {
    const page = opened();
    await typeValue(page, 'two');
    scope.nextAnswer = new ApiError(403, 'Permission denied: token lacks key:write');
    await submit(page);
    expect(text(page)).toContain('token lacks key:write');
    expect(scope.journal).toEqual([]);
  });

  test('deleting asks first and checks the index', async () => {
    const page = opened();
    await fire(button(page, 'Delete key'), 'onclick');
    scope.question?.act();
    await Promise.resolve();
    expect(scope.calls[0]).toMatchObject({ method: 'DELETE', query: { cas: 7 } });
  });

  test('bytes that are no text are edited as base64 and shown in hexadecimal', () => {
    const page = keyPage(scope, 'a/b');
    scope.give('/v1/kv/a/b', entry('/wAB', 7));
    expect(element(page, ({ tag }) => tag === 'textarea').attributes.value).toBe('/wAB');
    expect(text(page)).toContain('ff 00 01');
    expect(text(page)).toContain('Text (not possible)');
  });

  test('none: the command that stores one', () => {
    const page = keyPage(scope, 'a/b');
    scope.give('/v1/kv/a/b', undefined);
    expect(text(page)).toContain("curl -X PUT --data 'hello' http://h:1/v1/kv/a/b");
  });

  test('new: only where there is none yet', async () => {
    const page = newKeyPage(scope, 'a/');
    const name = (value: string) =>
      fire(
        element(page, ({ attributes }) => attributes.id === 'name'),
        'oninput',
        value,
      );
    await name('../x');
    expect(text(page)).toContain('a URL cannot carry it');
    await submit(page);
    expect(scope.calls).toEqual([]);
    await name('x');
    scope.nextAnswer = answerOf(false);
    await submit(page);
    expect(scope.calls[0]).toMatchObject({ path: '/v1/kv/a/x', query: { cas: 0, flags: '0' } });
    expect(text(page)).toContain('There is already such a key');
    scope.nextAnswer = answerOf(true);
    await submit(page);
    expect(scope.journal).toEqual(['Created a/x', 'go dc1/kv/a/x/edit']);
  });
});
