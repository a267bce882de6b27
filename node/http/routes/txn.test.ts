import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ txnMaxReqLen: 2000, kvMaxValueSize: 1000 });
});

beforeEach(() => {
  server.backend.answers.clear();
  server.backend.calls.length = 0;
  server.backend.meta = { index: 7, knownLeader: true, lastContactMs: 0 };
});

afterAll(() => server.server.close());

const put = (path: string, body?: unknown) =>
  send(server, 'PUT', path, body === undefined ? {} : { body: JSON.stringify(body) });
const called = () => server.backend.calls.map(({ endpoint }) => endpoint);

describe('transactions', () => {
  const OUTCOME = { Results: [], Errors: null };

  test('with a write go to the log, with exactly what was sent', async () => {
    server.backend.answer('Txn.Apply', () => OUTCOME);
    const reply = await put('/v1/txn?dc=dc2&token=t', [
      { KV: { Verb: 'set', Key: 'k', Value: 'aGk=', Flags: 7 } },
      { kv: { verb: 'check-index', key: 'k', index: 5, Value: 'aGk=' } },
      {},
      { Node: { Verb: 'delete', Node: { Node: 'n', ModifyIndex: 3 } } },
      { Service: { Verb: 'set', Node: 'n', Service: { ID: 's', Service: 's', Kind: 'x', Proxy: { a: 1 } } } },
      {
        Check: {
          Verb: 'cas',
          Check: {
            Node: 'n',
            Name: 'c',
            Type: 'x',
            Definition: { HTTP: 'u', Interval: '5s', IntervalDuration: '7s', Timeout: 1e9 },
          },
        },
      },
    ]);
    expect(reply).toMatchObject({ status: 200, text: '{"Results":[],"Errors":null}' });
    expect(reply.headers).not.toHaveProperty('x-consul-knownleader');
    const { args, options } = server.backend.lastCall();
    expect(options).toEqual({ datacenter: 'dc2', token: 't' });
    expect(args).toMatchObject({
      ops: [
        { kind: 'kv', verb: 'set', key: 'k', value: Buffer.from('hi'), flags: 7, index: '0', session: '' },
        { kind: 'kv', verb: 'check-index', value: null, index: '5' },
        { kind: 'node', verb: 'delete', node: { Node: 'n', TaggedAddresses: null }, index: '3' },
        { kind: 'service', node: 'n', service: { ID: 's', Proxy: { MeshGateway: {}, Expose: {} } } },
        {
          kind: 'check',
          check: { Type: '', Definition: { Interval: '7s', Timeout: '1s', HTTP: 'u' } },
          index: '0',
        },
      ],
    });
    const [, , , service] = (args as { ops: { service?: object }[] }).ops;
    expect(service?.service).not.toHaveProperty('Kind');
  });

  test('without one are reads, with what reads embed', async () => {
    server.backend.answer('Txn.Read', () => OUTCOME);
    server.backend.meta = { index: 7, knownLeader: true, lastContactMs: 1.5 };
    const reply = await put('/v1/txn?consistent', [{ KV: { Verb: 'get', Key: 'k' } }]);
    expect(reply.text).toBe(
      '{"Results":[],"Errors":null,"Index":0,"LastContact":1500000,"KnownLeader":true,"ConsistencyLevel":""}',
    );
    expect(reply.headers).toMatchObject({ 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '1' });
    expect(reply.headers).not.toHaveProperty('x-consul-index');
    expect(server.backend.lastCall().options).toMatchObject({ consistency: 'consistent' });
  });

  test('that fail are 409', async () => {
    server.backend.answer('Txn.Apply', () => ({ Results: null, Errors: [{ OpIndex: 0, What: 'no' }] }));
    expect(await put('/v1/txn?pretty', [{ KV: { Verb: 'delete', Key: 'k' } }])).toMatchObject({
      status: 409,
      text: expect.stringMatching(/^{\n {4}"Results": null,\n {4}"Errors": \[\n/),
    });
  });

  test.each([
    ['x', 400, "Failed to parse body: invalid character 'x' looking for beginning of value"],
    ['', 400, 'Failed to parse body: EOF'],
    ['[{"Zap":{}}]', 400, 'Failed to parse body: json: unknown field "Zap"'],
    ['[{"KV":{"Verb":"set","Value":"?"}}]', 400, 'Failed to parse body: illegal base64 data at input byte 0'],
    [JSON.stringify(Array(65).fill({ KV: {} })), 413, 'Transaction contains too many operations (65 > 64)'],
    [
      JSON.stringify([{ KV: { Verb: 'set', Key: 'k', Value: 'a'.repeat(1336) } }]),
      413,
      'Value for key "k" is too large (1002 > 1000 bytes)',
    ],
    [
      'x'.repeat(2001),
      413,
      'Request body(2001 bytes) too large, max size: 2000 bytes. See https://www.consul.io/docs/agent/options.html#txn_max_req_len.',
    ],
  ])('%.40s is refused', async (body, status, text) => {
    expect(await send(server, 'PUT', '/v1/txn', { body })).toMatchObject({ status, text });
    expect(called()).toEqual([]);
  });
});
