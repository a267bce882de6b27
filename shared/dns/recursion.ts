/** Asking upstream servers: forwarding foreign questions, and addresses of host names that a CNAME leads to. */

import type { Env } from '../env.ts';
import { randomInt } from '../env.ts';
import type { Logger } from '../log.ts';
import { decodeMessage, FLAG_QR, FLAG_TC, HEADER_BYTES, type ResourceRecord } from './message.ts';
import { type Name, presentName } from './name.ts';
import { encodeQuery } from './query.ts';
import { RCODE_NOERROR, RCODE_NXDOMAIN, TYPE_A } from './record-types.ts';

/** One exchange with one upstream. Implementations bound how many are under way. */
export interface Recursor {
  /**
   * @param server `ip[:port]` as configured, port 53 by default
   * @param query a whole message; the reply has its id and question
   * @param timeoutMs for the whole exchange
   * @returns the reply as received, at least 12 bytes
   * Rejects on timeout, transport failure, an address that cannot be used, and overload.
   */
  exchange(
    server: string,
    query: Uint8Array,
    transport: 'udp' | 'tcp',
    timeoutMs: number,
  ): Promise<Uint8Array>;
}

export interface Recursion {
  /** The first usable reply; undefined when every upstream failed. */
  forward(query: Uint8Array, transport: 'udp' | 'tcp'): Promise<Uint8Array | undefined>;
  /** Answer section of an A question over UDP; empty when every upstream failed. */
  addressRecords(name: Name): Promise<readonly ResourceRecord[]>;
}

export function createRecursion(
  recursor: Recursor,
  servers: readonly string[],
  timeoutMs: number,
  env: Env,
  log: Logger,
): Recursion {
  const attempt = async (server: string, query: Uint8Array, transport: 'udp' | 'tcp') => {
    try {
      return await recursor.exchange(server, query, transport, timeoutMs);
    } catch (thrown) {
      log.error('recurse failed', { recursor: server, error: textOf(thrown) });
      return undefined;
    }
  };
  return {
    async forward(query, transport) {
      for (const server of servers) {
        const reply = await attempt(server, query, transport);
        if (reply === undefined) continue;
        if (isUsable(reply)) return reply;
        log.debug('recurse failed for question', { recursor: server, rcode: rcodeOf(reply) });
      }
      log.error('all resolvers failed for question');
      return undefined;
    },
    async addressRecords(name) {
      const query = encodeQuery({ id: randomInt(env.random, 0x10000), name, type: TYPE_A });
      for (const server of servers) {
        const reply = await attempt(server, query, 'udp');
        const answers = reply === undefined ? undefined : answersOf(reply);
        if (answers !== undefined) return answers;
      }
      log.error('all resolvers failed for name', { name: presentName(name.wire) });
      return [];
    },
  };
}

/** NOERROR and NXDOMAIN are answers, and so is a reply cut short: the client will come again over TCP. */
function isUsable(reply: Uint8Array): boolean {
  if (reply.length < HEADER_BYTES) return false;
  const rcode = rcodeOf(reply);
  return rcode === RCODE_NOERROR || rcode === RCODE_NXDOMAIN || ((reply[2] ?? 0) & (FLAG_TC >> 8)) !== 0;
}

function rcodeOf(reply: Uint8Array): number {
  return (reply[3] ?? 0) & 0xf;
}

/** undefined when the reply is no DNS message, which counts as a failure of the upstream. */
function answersOf(reply: Uint8Array): readonly ResourceRecord[] | undefined {
  try {
    const message = decodeMessage(reply);
    return (message.flags & FLAG_QR) === 0 ? undefined : message.answers;
  } catch {
    // A reply that cannot be read is as good as none: the next upstream is asked.
    return undefined;
  }
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
