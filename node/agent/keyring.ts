/** Gossip keys of all pools that a server can reach: its own WAN pool, and the LAN pool of each datacenter. */

import { ConsulError, refused, toConsulError } from '../../shared/errors.ts';
import { decodeGoBase64 } from '../http/base64.ts';
import { GoJsonError } from '../http/go-json.ts';
import type { Backend } from '../rpc/backend.ts';
import { catalogListDatacenters } from '../rpc/endpoints.ts';
import { internalKeyringOperation, type KeyringAnswer, type KeyringArgs } from '../rpc/operator-endpoints.ts';
import { keyringAnswer } from '../server/operator-operations.ts';
import type { Pools } from './pools.ts';

export interface KeyringParts {
  readonly isServer: boolean;
  readonly datacenter: string;
  readonly pools: Pools;
  readonly backend: Backend;
}

/** @throws ConsulError 500 that lists what went wrong in each pool, after all have been asked */
export async function keyringOperation(
  parts: KeyringParts,
  args: KeyringArgs,
  isLocalOnly: boolean,
  token: string,
): Promise<readonly KeyringAnswer[]> {
  if (!parts.isServer) throw refused('keyring operations must run against a server node');
  const keyProblem = problemOf(args);
  const answers: KeyringAnswer[] = [];
  if (!isLocalOnly && parts.pools.wan !== undefined)
    answers.push(
      keyProblem === undefined ? await onWan(parts, args) : failed(parts.datacenter, true, keyProblem),
    );
  for (const datacenter of isLocalOnly ? [parts.datacenter] : await datacenters(parts.backend)) {
    answers.push(
      keyProblem === undefined
        ? await onLan(parts.backend, datacenter, args, token)
        : failed(datacenter, false, keyProblem),
    );
  }
  const errors = answers.flatMap(errorsOf);
  if (errors.length > 0) throw refused(listed(errors));
  return answers;
}

async function onWan({ datacenter, pools }: KeyringParts, args: KeyringArgs): Promise<KeyringAnswer> {
  if (pools.wan === undefined) throw refused('WAN pool is not running');
  const key = Buffer.from(args.key, 'base64');
  const result = await pools.wan.keyOperation(args.operation, key, args.relayFactor);
  return keyringAnswer(result, datacenter, true);
}

/** A datacenter that cannot be reached must not hide what the others say. */
async function onLan(
  backend: Backend,
  datacenter: string,
  args: KeyringArgs,
  token: string,
): Promise<KeyringAnswer> {
  try {
    return await backend.write(internalKeyringOperation, args, { datacenter, token });
  } catch (error) {
    return failed(datacenter, false, toConsulError(error).message);
  }
}

async function datacenters(backend: Backend): Promise<readonly string[]> {
  const options = { datacenter: '', token: '', consistency: 'stale' } as const;
  return (await backend.read(catalogListDatacenters, {}, options)).value;
}

/** What is wrong with the key's text, in Go's words. */
function problemOf({ key, operation }: KeyringArgs): string | undefined {
  if (operation === 'list') return undefined;
  try {
    decodeGoBase64(key);
    return undefined;
  } catch (error) {
    if (error instanceof GoJsonError || error instanceof ConsulError) return error.message;
    throw error;
  }
}

function failed(datacenter: string, isWan: boolean, error: string): KeyringAnswer {
  return {
    WAN: isWan,
    Datacenter: datacenter,
    Messages: {},
    Keys: {},
    PrimaryKeys: {},
    NumNodes: 0,
    Error: error,
  };
}

function errorsOf(answer: KeyringAnswer): string[] {
  if (answer.Error === '') return [];
  const pool = answer.WAN ? 'WAN' : `${answer.Datacenter} (LAN)`;
  const messages = Object.entries(answer.Messages).map(([node, message]) => `${node}: ${message}`);
  return [`${pool} error: ${answer.Error}`, ...messages];
}

/** Go's multierror. */
function listed(errors: readonly string[]): string {
  const head = errors.length === 1 ? '1 error occurred:' : `${errors.length} errors occurred:`;
  return `${head}\n${errors.map((error) => `\t* ${error}\n`).join('')}\n`;
}
