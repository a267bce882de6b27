import { beforeEach, describe, expect, test } from 'vitest';
import { noPathToDatacenter } from '../../shared/errors.ts';
import type { KeyOperationResult } from '../gossip/key-operations.ts';
import type { Backend } from '../rpc/backend.ts';
import type { KeyringAnswer, KeyringArgs } from '../rpc/operator-endpoints.ts';
import { type KeyringParts, keyringOperation } from './keyring.ts';
import type { Pools } from './pools.ts';

const KEY = Buffer.alloc(16, 1).toString('base64');
const LIST: KeyringArgs = { operation: 'list', key: '', relayFactor: 0 };

let asked: unknown[];
let wanResult: KeyOperationResult;
let lanAnswers: Record<string, Partial<KeyringAnswer>>;
let parts: KeyringParts;
beforeEach(() => {
  asked = [];
  const messages: Record<string, string> = {};
  wanResult = {
    numNodes: 2,
    numResponses: 2,
    numErrors: 0,
    messages,
    keys: { [KEY]: 2 },
    primaryKeys: { [KEY]: 2 },
    error: undefined,
  };
  lanAnswers = { dc1: {}, dc2: {} };
  const backend = {
    read: async () => ({ value: Object.keys(lanAnswers) }),
    write: async (_endpoint: unknown, args: unknown, { datacenter }: { datacenter: string }) => {
      asked.push([datacenter, args]);
      const answer = lanAnswers[datacenter];
      if (answer === undefined) throw noPathToDatacenter();
      const empty = { WAN: false, Messages: {}, Keys: {}, PrimaryKeys: {}, NumNodes: 1, Error: '' };
      return { ...empty, Datacenter: datacenter, ...answer };
    },
  } as unknown as Backend;
  const wan = {
    keyOperation: async (...args: unknown[]) => {
      asked.push(['wan', ...args]);
      return wanResult;
    },
  };
  parts = { isServer: true, datacenter: 'dc1', pools: { wan } as unknown as Pools, backend };
});

describe('keyringOperation', () => {
  test('asks the WAN pool first, then each datacenter', async () => {
    const answers = await keyringOperation(parts, { ...LIST, relayFactor: 3 }, false, '');
    expect(answers.map(({ Datacenter, WAN }) => [WAN, Datacenter])).toEqual([
      [true, 'dc1'],
      [false, 'dc1'],
      [false, 'dc2'],
    ]);
    expect(answers[0]).toMatchObject({ NumNodes: 2, Keys: { [KEY]: 2 }, Error: '' });
    expect(asked[0]).toEqual(['wan', 'list', Buffer.alloc(0), 3]);
  });

  test('can be kept to the own LAN pool', async () => {
    expect(await keyringOperation(parts, LIST, true, '')).toMatchObject([{ WAN: false, Datacenter: 'dc1' }]);
    expect(asked).toEqual([['dc1', LIST]]);
  });

  test('lists all that went wrong, in Go’s form, after everyone was asked', async () => {
    const message = 'Keyring is empty (encryption not enabled)';
    wanResult = { ...wanResult, error: '1/1 nodes reported failure', messages: { 'n1.dc1': message } };
    lanAnswers.dc1 = { Error: '1/1 nodes reported failure', Messages: { n1: message } };
    await expect(keyringOperation(parts, LIST, false, '')).rejects.toMatchObject({
      status: 500,
      message:
        '4 errors occurred:\n\t* WAN error: 1/1 nodes reported failure\n' +
        `\t* n1.dc1: ${message}\n\t* dc1 (LAN) error: 1/1 nodes reported failure\n\t* n1: ${message}\n\n`,
    });
    expect(asked).toHaveLength(3);
  });

  test('a key that is no base64 is asked of nobody', async () => {
    const args: KeyringArgs = { operation: 'install', key: '?', relayFactor: 0 };
    await expect(keyringOperation(parts, args, true, '')).rejects.toThrow(
      '1 error occurred:\n\t* dc1 (LAN) error: illegal base64 data at input byte 0\n\n',
    );
    expect(asked).toEqual([]);
  });

  test('is for servers', async () => {
    await expect(keyringOperation({ ...parts, isServer: false }, LIST, false, '')).rejects.toThrow(
      'keyring operations must run against a server node',
    );
  });
});
