/** `/v1/operator/keyring`: the gossip keys of all pools. */

import { badRequest } from '../../../shared/errors.ts';
import type { KeyringAnswer, KeyringArgs } from '../../rpc/operator-endpoints.ts';
import { sortedByKey } from '../agent-json.ts';
import { bool, decodeJson, GoJsonError, int, struct, text } from '../go-json.ts';
import { EMPTY_OK, jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { parseGoBool } from './parts.ts';

const OPERATIONS: Readonly<Record<string, KeyringArgs['operation']>> = {
  GET: 'list',
  POST: 'install',
  PUT: 'use',
  DELETE: 'remove',
};

const MAX_RELAY_FACTOR = 5;

export const keyringRoutes = [route('GET POST PUT DELETE', '/v1/operator/keyring', keyring)];

async function keyring(request: HttpRequest): Promise<Reply> {
  const operation = OPERATIONS[request.method] ?? 'list';
  const key = operation === 'list' ? '' : keyOf(await request.jsonBody());
  const relayFactor = relayFactorOf(request.query.text('relay-factor'));
  const isLocalOnly = localOnlyOf(request.query.text('local-only'));
  if (isLocalOnly && operation !== 'list')
    throw badRequest('Bad request: Invalid use of local-only: local-only can only be set for list requests');
  const { agent } = request.context.dependencies;
  const answers = await agent.keyring({ operation, key, relayFactor }, isLocalOnly, request.token());
  return operation === 'list' ? jsonReply(answers.map(answerJson), request.isPretty) : EMPTY_OK;
}

const keyBody = struct({ Key: text, Token: text, RelayFactor: int, LocalOnly: bool });

function keyOf(body: Uint8Array): string {
  try {
    return decodeJson(body, keyBody).Key;
  } catch (error) {
    if (!(error instanceof GoJsonError)) throw error;
    throw badRequest(`Bad request: Request decode failed: ${error.message}`);
  }
}

function relayFactorOf(given: string): number {
  if (given === '') return 0;
  if (!/^[+-]?\d+$/.test(given))
    throw badRequest(
      `Bad request: Error parsing relay factor: strconv.Atoi: parsing ${JSON.stringify(given)}: invalid syntax`,
    );
  const factor = Number(given);
  if (factor < 0 || factor > MAX_RELAY_FACTOR)
    throw badRequest(
      `Bad request: Invalid relay-factor: Relay factor must be in range: [0, ${MAX_RELAY_FACTOR}]`,
    );
  return factor;
}

function localOnlyOf(given: string): boolean {
  if (given === '') return false;
  const isLocalOnly = parseGoBool(given);
  if (isLocalOnly === undefined)
    throw badRequest(
      `Bad request: Error parsing local-only: strconv.ParseBool: parsing ${JSON.stringify(given)}: invalid syntax`,
    );
  return isLocalOnly;
}

function answerJson(answer: KeyringAnswer): Record<string, unknown> {
  const hasMessages = Object.keys(answer.Messages).length > 0;
  return {
    WAN: answer.WAN,
    Datacenter: answer.Datacenter,
    Segment: '',
    ...(hasMessages && { Messages: sortedByKey(answer.Messages) }),
    Keys: sortedByKey(answer.Keys),
    PrimaryKeys: sortedByKey(answer.PrimaryKeys),
    NumNodes: answer.NumNodes,
    ...(answer.Error !== '' && { Error: answer.Error }),
  };
}
