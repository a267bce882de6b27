/** `/v1/session`: sessions, which hold locks. */

import type { CreatedId } from '../types/answers.ts';
import type { SessionRequest } from '../types/requests.ts';
import type { Session } from '../types/v1.ts';
import { type Calls, part } from './calls.ts';
import { type ReadOptions, RequestError, type WriteOptions } from './transport.ts';

export interface SessionClient {
  /** @returns its ID */
  create(request?: SessionRequest, options?: WriteOptions): Promise<string>;
  /** Ends it; its locks fall free. */
  destroy(id: string, options?: WriteOptions): Promise<void>;
  /** Keeps a session with a TTL alive. undefined when it has ended already. */
  renew(id: string, options?: WriteOptions): Promise<Session | undefined>;
  /** undefined when there is none. */
  info(id: string, options?: ReadOptions): Promise<Session | undefined>;
  list(options?: ReadOptions): Promise<Session[]>;
  ofNode(node: string, options?: ReadOptions): Promise<Session[]>;
}

export function createSessionClient({ read, write }: Calls): SessionClient {
  return {
    create: async (request = {}, options) =>
      (await write<CreatedId>('PUT', '/v1/session/create', {}, request, options)).ID,
    destroy: async (id, options) => {
      await write('PUT', `/v1/session/destroy/${part(id)}`, {}, undefined, options);
    },
    renew: async (id, options) => {
      try {
        const path = `/v1/session/renew/${part(id)}`;
        return (await write<Session[]>('PUT', path, {}, undefined, options))[0];
      } catch (error) {
        if (error instanceof RequestError && error.status === 404) return undefined;
        throw error;
      }
    },
    info: async (id, options) =>
      (await read<Session[]>(`/v1/session/info/${part(id)}`, {}, options)).value[0],
    list: async (options) => (await read<Session[]>('/v1/session/list', {}, options)).value,
    ofNode: async (node, options) =>
      (await read<Session[]>(`/v1/session/node/${part(node)}`, {}, options)).value,
  };
}
