/** Gossip key operations over the whole pool, and what the members answered. */

import { decodeKeyResponse } from './codec/query-payloads.ts';

export type KeyOperation = 'install' | 'use' | 'remove' | 'list';

export interface KeyOperationResult {
  /** Live members asked, this one included. */
  readonly numNodes: number;
  readonly numResponses: number;
  readonly numErrors: number;
  /** What members had to say, by name: errors, or that a list was cut short. */
  readonly messages: Readonly<Record<string, string>>;
  /** Members that hold each key, by base64 text; filled by `list`. */
  readonly keys: Readonly<Record<string, number>>;
  readonly primaryKeys: Readonly<Record<string, number>>;
  /** `1/3 nodes reported failure`, `2/3 nodes reported success`; undefined when all went well. */
  readonly error: string | undefined;
}

/** Adds up the answers. One that cannot be read counts as a failure of its sender. */
export function summariseKeyAnswers(
  answers: ReadonlyMap<string, Uint8Array>,
  numNodes: number,
): KeyOperationResult {
  const messages: Record<string, string> = {};
  const keys: Record<string, number> = {};
  const primaryKeys: Record<string, number> = {};
  let numErrors = 0;
  for (const [from, payload] of answers) {
    const answer = decodeKeyResponse(payload);
    if (answer === undefined) {
      numErrors += 1;
      messages[from] = 'Invalid key query response';
      continue;
    }
    if (!answer.isDone) numErrors += 1;
    if (answer.message !== '') messages[from] = answer.message;
    for (const key of answer.keys) keys[key] = (keys[key] ?? 0) + 1;
    if (answer.primaryKey !== '') primaryKeys[answer.primaryKey] = (primaryKeys[answer.primaryKey] ?? 0) + 1;
  }
  const numResponses = answers.size;
  const error =
    numErrors > 0
      ? `${numErrors}/${numNodes} nodes reported failure`
      : numResponses === numNodes
        ? undefined
        : `${numResponses}/${numNodes} nodes reported success`;
  return { numNodes, numResponses, numErrors, messages, keys, primaryKeys, error };
}
