import { afterAll, beforeAll, expect, test } from 'vitest';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.server.close());

const OFF = 'Connect must be enabled in order to use this endpoint';

test.each([
  ['GET', '/v1/agent/connect/ca/roots', 500, OFF],
  ['GET', '/v1/agent/connect/ca/leaf/web', 500, OFF],
  ['GET', '/v1/agent/connect/ca/leaf/web?ns=a', 400, /Invalid query parameter: "ns"/],
  ['GET', '/v1/connect/ca/configuration', 500, OFF],
  ['PUT', '/v1/connect/ca/configuration', 500, OFF],
  [
    'GET',
    '/v1/connect/ca/roots?pem=x',
    400,
    "Bad request: The 'pem' query parameter must be a boolean value",
  ],
  ['POST', '/v1/connect/intentions', 500, OFF],
  ['GET', '/v1/connect/intentions/some-id', 500, OFF],
  ['DELETE', '/v1/connect/intentions/some-id', 500, OFF],
  ['GET', '/v1/connect/intentions/match', 500, "required query parameter 'by' not set"],
  [
    'GET',
    '/v1/connect/intentions/match?by=x',
    500,
    "'by' parameter must be one of 'source' or 'destination'",
  ],
  ['GET', '/v1/connect/intentions/match?by=source', 500, "required query parameter 'name' not set"],
  ['GET', '/v1/connect/intentions/match?by=source&name=a', 500, OFF],
  ['GET', '/v1/connect/intentions/check', 500, "required query parameter 'source' not set"],
  ['GET', '/v1/connect/intentions/check?source=a', 500, "required query parameter 'destination' not set"],
  ['GET', '/v1/connect/intentions/check?source=a&destination=b', 500, OFF],
  ['GET', '/v1/discovery-chain/', 400, 'Bad request: Missing chain name'],
  ['POST', '/v1/discovery-chain/web', 500, OFF],
  ['PUT', '/v1/connect/intentions', 405, 'method PUT not allowed'],
])('%s %s is answered %i %s', async (method, path, status, text) => {
  const answer = await send(server, method, path);
  expect(answer.status).toBe(status);
  expect(answer.text).toMatch(text);
});

test.each(['/v1/connect/ca/roots', '/v1/connect/intentions', '/v1/discovery-chain/web'])(
  '%s tells that nobody was asked',
  async (path) => {
    expect(await send(server, 'GET', path)).toMatchObject({
      status: 500,
      text: OFF,
      headers: { 'x-consul-index': '1', 'x-consul-knownleader': 'false', 'x-consul-lastcontact': '0' },
    });
  },
);

test.each([
  ['', 'Request decode failed: EOF'],
  ['{}', 'Bad request: Target service must be specified'],
])('authorizing %j is refused', async (body, text) => {
  expect(await send(server, 'POST', '/v1/agent/connect/authorize', { body })).toMatchObject({
    status: 400,
    text,
  });
});
