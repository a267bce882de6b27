/** Every failure that a caller may see: a code, the HTTP status it becomes, and the exact text shown. */

export type ErrorCode =
  /** The request is malformed or refers to something that cannot be. */
  | 'bad-request'
  | 'permission-denied'
  | 'acl-disabled'
  | 'not-found'
  | 'method-not-allowed'
  | 'conflict'
  | 'too-large'
  | 'rate-limited'
  /** No leader was known within the hold time; nothing was applied. */
  | 'no-leader'
  /** This server is not the leader; nothing was applied. */
  | 'not-leader'
  /** A client agent knows no server; nothing was applied. */
  | 'no-servers'
  | 'no-path-to-datacenter'
  /** The connection broke or the leader changed while a write was under way: it may or may not have been applied. */
  | 'outcome-unknown'
  /** A deadline passed; whether anything was applied depends on `applied`. */
  | 'timeout'
  /** The peer or this agent is shutting down; nothing was applied. */
  | 'shutting-down'
  /** The operation was understood and refused by the state machine or validation. */
  | 'refused'
  | 'internal';

/** Whether the operation behind a failed request can have changed anything. Decides what may be retried. */
export type Applied = 'no' | 'unknown';

export interface ConsulErrorOptions {
  readonly cause?: unknown;
  readonly applied?: Applied;
}

/**
 * `message` is the response body to the letter. `status` is 400–599.
 * `applied` defaults to 'unknown' for `outcome-unknown`, `timeout` and `internal`, to 'no' for the rest.
 */
export class ConsulError extends Error {
  override readonly name = 'ConsulError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly applied: Applied;

  constructor(code: ErrorCode, status: number, message: string, options: ConsulErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = status;
    this.applied =
      options.applied ??
      (code === 'outcome-unknown' || code === 'timeout' || code === 'internal' ? 'unknown' : 'no');
  }
}

/** 400 with the text as it stands. */
export const badRequest = (text: string): ConsulError => new ConsulError('bad-request', 400, text);

/** 404 with the text as it stands; an empty text gives an empty body. */
export const notFound = (text = ''): ConsulError => new ConsulError('not-found', 404, text);

/** 500 with the text as it stands: validation and state machine refusals, which Consul reports this way. */
export const refused = (text: string): ConsulError => new ConsulError('refused', 500, text);

export const noClusterLeader = (): ConsulError => new ConsulError('no-leader', 500, 'No cluster leader');

export const noKnownServers = (): ConsulError =>
  new ConsulError('no-servers', 500, 'No known Consul servers');

export const noPathToDatacenter = (): ConsulError =>
  new ConsulError('no-path-to-datacenter', 500, 'No path to datacenter');

export const permissionDenied = (detail = ''): ConsulError =>
  new ConsulError(
    'permission-denied',
    403,
    detail === '' ? 'Permission denied' : `Permission denied: ${detail}`,
  );

/** What Consul puts before the text of an error that another agent answered. */
export const RPC_ERROR_PREFIX = 'rpc error making call: ';

/** The same error as a caller on another agent sees it. The prefix is added once, however many hops it took. */
export function asRemoteError(error: ConsulError): ConsulError {
  if (error.message === '' || error.message.startsWith(RPC_ERROR_PREFIX)) return error;
  return new ConsulError(error.code, error.status, RPC_ERROR_PREFIX + error.message, {
    applied: error.applied,
    cause: error,
  });
}

/** Any thrown value as a `ConsulError`; an unexpected one becomes 500 with its message. */
export function toConsulError(thrown: unknown): ConsulError {
  if (thrown instanceof ConsulError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new ConsulError('internal', 500, text, { cause: thrown });
}
