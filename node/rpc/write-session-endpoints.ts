/** Sessions in which writes are numbered, so that sending one again does not apply it again. */

import { writeEndpoint } from './endpoint.ts';
import type { NoArgs } from './endpoints.ts';

/** @returns the new session's ID, see `shared/request-id.ts` */
export const writeSessionOpen = writeEndpoint<NoArgs, string>('WriteSession.Open');
