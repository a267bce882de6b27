/**
 * Request IDs: how a gateway sends a write again without it being applied twice (Ongaro's thesis on Raft, §6.3).
 *
 * A gateway opens a write session, numbers its writes in it, and says with each which earlier ones it will never send
 * again. Servers keep the results of the others in the replicated state.
 */

/** Lower case. */
export const REQUEST_ID_HEADER = 'x-proconsul-request-id';

/** `PUT` opens a write session: `{"ID": "<16 hex digits>"}`. */
export const WRITE_SESSION_PATH = '/v1/internal/proconsul/write-session';

export interface RequestId {
  /** Of a write session, 16 lower-case hex digits. */
  readonly session: string;
  /** ≥ 1, its own for each write of the session. */
  readonly sequence: number;
  /** ≤ `sequence`: the session never sends a lower sequence number again. */
  readonly settledBelow: number;
}

/** Answered with 409: the session was never opened or has been forgotten. This attempt was not applied. */
export const UNKNOWN_WRITE_SESSION =
  'Unknown write session: open one with PUT /v1/internal/proconsul/write-session';

/** Answered with 409: an earlier attempt may have been applied, but nobody can tell any more. This one was not. */
export const FORGOTTEN_REQUEST_ID =
  'This request ID was settled or is no longer remembered: read the data back to see whether the write was applied';

/** Answered with 409: an earlier attempt was applied, once. */
export const RESULT_NOT_KEPT =
  'The write with this request ID was applied, but its result was too large to be remembered';

export function formatRequestId({ session, sequence, settledBelow }: RequestId): string {
  return `${session}.${sequence}.${settledBelow}`;
}

/** Numbers of up to 15 digits are exact. */
const FORM = /^([0-9a-f]{16})\.([1-9]\d{0,14})\.([1-9]\d{0,14})$/;

/** @returns undefined when it is none */
export function parseRequestId(text: string): RequestId | undefined {
  const [, session, sequenceText, settledText] = FORM.exec(text) ?? [];
  if (session === undefined) return undefined;
  const sequence = Number(sequenceText);
  const settledBelow = Number(settledText);
  return settledBelow <= sequence ? { session, sequence, settledBelow } : undefined;
}

/** Writes that become exactly one command of the replicated log; only there does a request ID mean anything. */
const LOGGED: readonly { readonly methods: readonly string[]; readonly path: RegExp }[] = [
  { methods: ['PUT', 'DELETE'], path: /^\/v1\/kv\// },
  { methods: ['PUT'], path: /^\/v1\/txn$/ },
  { methods: ['PUT'], path: /^\/v1\/catalog\/(?:register|deregister)$/ },
  { methods: ['PUT'], path: /^\/v1\/session\/(?:create$|destroy\/.)/ },
  { methods: ['POST'], path: /^\/v1\/query$/ },
  { methods: ['PUT', 'DELETE'], path: /^\/v1\/query\/[^/]+$/ },
  { methods: ['PUT'], path: /^\/v1\/config$/ },
  { methods: ['DELETE'], path: /^\/v1\/config\/[^/]+\/[^/]+$/ },
  { methods: ['PUT'], path: /^\/v1\/operator\/autopilot\/configuration$/ },
];

/** @param path decoded */
export function takesRequestId(method: string, path: string): boolean {
  return LOGGED.some((logged) => logged.methods.includes(method) && logged.path.test(path));
}
