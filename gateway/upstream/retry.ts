/** What to do with a failed attempt. The table of `docs/gateway.md`, as one pure function. */

import { takesRequestId } from '../../shared/request-id.ts';
import type { UpstreamErrorKind } from './transport.ts';

/**
 * - `always`: applying it twice is the same as once, whatever others do in between; also every read.
 * - `once`: sent under a request ID, with which agents apply it once however often it comes.
 * - `if-not-applied`: only an attempt that certainly changed nothing may be repeated.
 * - `never`: the body can't be sent twice.
 */
export type Replay = 'always' | 'once' | 'if-not-applied' | 'never';

export type Failure =
  | { readonly kind: UpstreamErrorKind }
  /** A 500 answer with its text. */
  | { readonly kind: 'answer'; readonly text: string };

/**
 * - `answer`: the caller gets what there is: the agent's answer, or an error of the gateway.
 * - `elsewhere`: try another agent at once.
 * - `later`: nobody leads just now; find out who does, pause, then try again.
 */
export type Verdict = 'answer' | 'elsewhere' | 'later';

/** Texts that an agent sends before it did anything, without the prefix of a forwarded call. */
const NOT_APPLIED: ReadonlySet<string> = new Set(['No cluster leader', 'No known Consul servers']);

/** Text that an agent begins with when it could not even reach the one that it forwards to. */
const UNREACHED = 'rpc error getting client: failed to get conn: ';

/** Texts that a read may meet while the leader changes; a write with them may have been applied. */
const LEADER_CHANGES: ReadonlySet<string> = new Set([
  'Not ready to serve consistent reads',
  'leadership lost while committing log',
  'node is not the leader',
  'EOF',
  'stream closed',
  'Raft leader not found in server lookup mapping',
  'agent is shutting down',
  'Agent is shutting down',
  'raft is already shutdown',
  'server is not running',
]);

const FORWARDED = 'rpc error making call: ';

export function verdictOf(failure: Failure, replay: Replay): Verdict {
  const isRepeatable = replay === 'always' || replay === 'once';
  switch (failure.kind) {
    case 'abandoned':
      // Only what may be repeated is given up on a dead agent; a caller that left is not served by anyone.
      return isRepeatable ? 'elsewhere' : 'answer';
    case 'not-sent':
      return replay === 'never' ? 'answer' : 'elsewhere';
    case 'broken':
    case 'timeout':
      return isRepeatable ? 'elsewhere' : 'answer';
    case 'answer': {
      const text = bareText(failure.text);
      if (tellsNotApplied(text)) return replay === 'never' ? 'answer' : 'later';
      return LEADER_CHANGES.has(text) && isRepeatable ? 'later' : 'answer';
    }
  }
}

/** Whether this text says that the agent knows no leader or is not it. */
export function tellsLeaderLost(text: string): boolean {
  const bare = bareText(text);
  return tellsNotApplied(bare) || LEADER_CHANGES.has(bare);
}

/** Whether something may have been applied although the attempt failed. */
export function mayHaveApplied(failure: Failure): boolean {
  if (failure.kind === 'answer') return LEADER_CHANGES.has(bareText(failure.text));
  return failure.kind !== 'not-sent';
}

function tellsNotApplied(bare: string): boolean {
  return NOT_APPLIED.has(bare) || bare.startsWith(UNREACHED);
}

/** The text without the prefixes of forwarded calls. */
export function bareText(text: string): string {
  let bare = text.trim();
  while (bare.startsWith(FORWARDED)) bare = bare.slice(FORWARDED.length);
  return bare;
}

const READ_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** POSTs that compute and change nothing. */
const READING_POSTS = [
  /^\/v1\/internal\/acl\/authorize$/,
  /^\/v1\/acl\/rules\/translate$/,
  /^\/v1\/agent\/connect\/authorize$/,
  /^\/v1\/discovery-chain\//,
];

/**
 * Writes whose second application does nothing whatever happened in between: what they name is unique for all time, or
 * (TTL updates) is sent again within seconds anyway by the only one who sends it.
 */
const REPEATABLE: Readonly<Record<string, readonly RegExp[]>> = {
  PUT: [/^\/v1\/session\/(destroy|renew)\/./, /^\/v1\/agent\/check\/(pass|warn|fail|update)\/./],
  DELETE: [/^\/v1\/acl\/(token|policy|role|binding-rule)\/./],
  POST: READING_POSTS,
};

/**
 * A key written without `cas` is not repeatable by itself: between two applications another client may have written it,
 * and the second would silently undo that. The same holds for registering and deregistering by name. Under a request ID
 * such writes are applied once.
 *
 * @param path decoded
 */
export function replayOf(method: string, path: string): Replay {
  if (READ_METHODS.has(method)) return 'always';
  if (REPEATABLE[method]?.some((pattern) => pattern.test(path))) return 'always';
  return takesRequestId(method, path) ? 'once' : 'if-not-applied';
}
