/** Failures of the connection itself, and which failures may be tried again. */

import { ConsulError } from '../../shared/errors.ts';

/** The peer could not be reached, or the request never left this process: nothing was applied. */
export function unreachable(reason: string, cause?: unknown): ConsulError {
  const text = `rpc error getting client: failed to get conn: ${reason}`;
  return new ConsulError('outcome-unknown', 500, text, { applied: 'no', cause });
}

/** The connection ended after the request was handed to the system. */
export function connectionLost(reason: string, cause?: unknown): ConsulError {
  return new ConsulError('outcome-unknown', 500, `rpc error making call: ${reason}`, {
    applied: 'unknown',
    cause,
  });
}

/** The peer, rather than the operation, failed: another server may do better. */
export function isTransportFailure(error: ConsulError): boolean {
  return error.code === 'outcome-unknown' || error.code === 'shutting-down';
}

/**
 * Whether the same operation may be sent again. A write only when it certainly was not applied; a read whenever the
 * failure is about who answers rather than about what was asked.
 */
export function mayRetry(error: ConsulError, kind: 'read' | 'write'): boolean {
  switch (error.code) {
    case 'no-leader':
    case 'not-leader':
      return true;
    case 'outcome-unknown':
    case 'shutting-down':
      return kind === 'read' || error.applied === 'no';
    default:
      return false;
  }
}
