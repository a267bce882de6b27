/** `/v1/txn`. */

import { badRequest, ConsulError } from '../../../shared/errors.ts';
import type { TxnOp, TxnOutcome } from '../../../shared/types/txn.ts';
import { isTxnWrite } from '../../../shared/types/txn.ts';
import type { ReadMeta } from '../../rpc/backend.ts';
import { txnApply, txnRead } from '../../rpc/txn-endpoints.ts';
import { decodeJson, GoJsonError } from '../go-json.ts';
import { readOptions } from '../read-options.ts';
import { embeddedMeta, jsonReply, metaHeaders, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { toTxnOp, txnBody } from '../txn-body.ts';
import { callOptions } from './parts.ts';

const MOST_OPERATIONS = 64;

export const txnRoutes = [route('PUT', '/v1/txn', transact)];

async function transact(request: HttpRequest): Promise<Reply> {
  const ops = await operations(request);
  const { backend } = request.context.dependencies;
  if (ops.some(isTxnWrite)) {
    return outcomeReply(await backend.write(txnApply, { ops }, callOptions(request)), request.isPretty, []);
  }
  const { options } = readOptions(request, { neverBlocks: true });
  const { meta, value } = await backend.read(txnRead, { ops }, options);
  return outcomeReply({ ...value, ...embeddedMeta(meta, '') }, request.isPretty, leaderHeaders(meta));
}

function outcomeReply(outcome: TxnOutcome, pretty: boolean, headers: readonly string[]): Reply {
  return jsonReply(outcome, pretty, headers, outcome.Errors === null ? 200 : 409);
}

/** All meta headers but the index, which comes first. */
function leaderHeaders(meta: ReadMeta): readonly string[] {
  return metaHeaders(meta, undefined).slice(2);
}

/** @throws ConsulError 400 or 413 */
async function operations(request: HttpRequest): Promise<TxnOp[]> {
  const { kvMaxValueSize, txnMaxReqLen } = request.context.config;
  const limit = Math.max(txnMaxReqLen, kvMaxValueSize);
  const decoded = decode(await request.body(limit, (announced) => tooLargeText(announced, limit)));
  if (decoded.length > MOST_OPERATIONS) {
    throw tooMuch(`Transaction contains too many operations (${decoded.length} > ${MOST_OPERATIONS})`);
  }
  const ops = decoded.map(toTxnOp).filter((op) => op !== undefined);
  for (const op of ops) {
    const size = op.kind === 'kv' ? (op.value?.length ?? 0) : 0;
    if (op.kind === 'kv' && size > kvMaxValueSize) {
      const key = JSON.stringify(op.key);
      throw tooMuch(`Value for key ${key} is too large (${size} > ${kvMaxValueSize} bytes)`);
    }
  }
  return ops;
}

/** The body has been read whole, so the connection may go on. */
function tooMuch(text: string): ConsulError {
  return new ConsulError('refused', 413, text);
}

function decode(body: Uint8Array) {
  try {
    return decodeJson(body, txnBody) ?? [];
  } catch (thrown) {
    if (thrown instanceof GoJsonError) throw badRequest(`Failed to parse body: ${thrown.message}`);
    throw thrown;
  }
}

function tooLargeText(announced: number | undefined, limit: number): string {
  const length = announced === undefined ? ' ' : `(${announced} bytes) `;
  return `Request body${length}too large, max size: ${limit} bytes. See https://www.consul.io/docs/agent/options.html#txn_max_req_len.`;
}
