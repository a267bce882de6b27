/** Request IDs on their way in: every write that takes one hands it on, and a session is opened by one call. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATIONS } from '../../../shared/api/operations.ts';
import { formatRequestId, parseRequestId, takesRequestId } from '../../../shared/request-id.ts';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.server.close());

const ID = '0123456789abcdef.12.7';

/** A body that each operation accepts. */
const BODIES: Readonly<Record<string, string>> = {
  '/v1/txn': '[{"KV": {"Verb": "set", "Key": "a", "Value": ""}}]',
  '/v1/catalog/register': '{"Node": "n", "Address": "10.0.0.1"}',
  '/v1/catalog/deregister': '{"Node": "n"}',
  '/v1/session/create': '{}',
  '/v1/query': '{"Service": {"Service": "web"}}',
  '/v1/query/x': '{"Service": {"Service": "web"}}',
  '/v1/config': '{"Kind": "service-defaults", "Name": "web"}',
  '/v1/operator/autopilot/configuration': '{}',
};

const LOGGED = OPERATIONS.filter(({ method, path }) => takesRequestId(method, path));

describe('writes that become one command of the log', () => {
  test('are known by method and path', () => {
    expect(LOGGED.map(({ id }) => id).toSorted()).toMatchInlineSnapshot(`
      [
        "catalogDeregister",
        "catalogRegister",
        "configDelete",
        "configPut",
        "kvDelete",
        "kvPut",
        "operatorAutopilotSet",
        "queryCreate",
        "queryDelete",
        "queryUpdate",
        "sessionCreate",
        "sessionDestroy",
        "txn",
      ]
    `);
  });

  test.each(LOGGED.map(({ method, path }) => [method, path.replace(/\{\w+\}/g, 'x')] as const))(
    '%s %s hands its request ID on',
    async (method, path) => {
      const { backend } = server;
      for (const name of WRITES)
        backend.answer(name, () => (name === 'Txn.Apply' ? { Results: [], Errors: null } : true));
      const body = BODIES[path] ?? '';
      await send(server, method, path, { body, headers: { 'X-Proconsul-Request-Id': ID } });
      expect(backend.lastCall().options).toMatchObject({ requestId: ID });
      expect(WRITES).toContain(backend.lastCall().endpoint);
    },
  );
});

const WRITES = [
  'KVS.Apply',
  'Txn.Apply',
  'Catalog.Register',
  'Catalog.Deregister',
  'Session.Create',
  'Session.Destroy',
  'PreparedQuery.Apply',
  'ConfigEntry.Apply',
  'Operator.AutopilotSetConfiguration',
];

test('a session is opened', async () => {
  server.backend.answer('WriteSession.Open', () => '0123456789abcdef');
  expect(await send(server, 'PUT', '/v1/internal/proconsul/write-session')).toMatchObject({
    status: 200,
    text: '{"ID":"0123456789abcdef"}',
  });
});

test('IDs are written and read', () => {
  const id = { session: '0123456789abcdef', sequence: 12, settledBelow: 7 };
  expect(formatRequestId(id)).toBe(ID);
  expect(parseRequestId(ID)).toEqual(id);
});
