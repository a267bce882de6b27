/** The transport to agents that offer a multiplexed connection: one each, and plain HTTP for all others. */

import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../shared/env.ts';
import { MUX_PATH, MUX_PROTOCOL } from '../../shared/mux/frames.ts';
import type { Answer } from '../exchange/exchange.ts';
import { MuxConnection } from './mux-connection.ts';
import { MuxStream } from './mux-stream.ts';
import { type Transport, UpstreamError, type UpstreamRequest } from './transport.ts';

export interface MuxTransportOptions {
  /** Reaches agents that don't offer it. */
  readonly fallback: Transport;
  readonly clock: Clock;
  /** Milliseconds to open a connection and have it accepted. */
  readonly connectTimeoutMs: number;
  /** Largest answer that is collected, bytes. */
  readonly answerLimitBytes: number;
  /** Requests after which a connection is replaced by a new one; at most 2^32 − 1. */
  readonly maxRequests?: number;
}

const MAX_REQUESTS = 2 ** 31;

/** An agent that refused is asked again after this time: it may have been replaced by a newer one. */
const ASK_AGAIN_MS = 60_000;
const TCP_KEEP_ALIVE_MS = 15_000;

type Opened = MuxConnection | 'http';

/** Invariant: at most one of `connection` and `opening` is there. */
interface AgentLink {
  connection: MuxConnection | undefined;
  opening: Promise<Opened> | undefined;
  /** Until then the agent is known to speak HTTP only. Monotonic milliseconds. */
  httpUntilMs: number;
}

export function createMuxTransport(options: MuxTransportOptions): Transport {
  const { fallback, clock, answerLimitBytes } = options;
  const links = new Map<string, AgentLink>();
  const retired = new Set<MuxConnection>();
  let isClosed = false;

  const linkOf = (baseUrl: string): AgentLink => {
    const known = links.get(baseUrl);
    if (known !== undefined) return known;
    const link: AgentLink = { connection: undefined, opening: undefined, httpUntilMs: 0 };
    links.set(baseUrl, link);
    return link;
  };

  const open = async (baseUrl: string, link: AgentLink): Promise<Opened> => {
    try {
      const upgraded = await upgrade(baseUrl, options.connectTimeoutMs, clock);
      if (upgraded === 'refused') {
        link.httpUntilMs = clock.monotonicMs() + ASK_AGAIN_MS;
        return 'http';
      }
      if (isClosed) {
        upgraded.socket.destroy();
        throw new UpstreamError('not-sent', 'the gateway is about to end');
      }
      const connection: MuxConnection = new MuxConnection(
        {
          socket: upgraded.socket,
          clock,
          maxRequests: options.maxRequests ?? MAX_REQUESTS,
          onRetired: () => {
            if (link.connection === connection) link.connection = undefined;
            if (upgraded.socket.destroyed) retired.delete(connection);
            else retired.add(connection);
          },
        },
        upgraded.firstBytes,
      );
      link.connection = connection;
      return connection;
    } finally {
      link.opening = undefined;
    }
  };

  const sendOnceOpen = (baseUrl: string, link: AgentLink, request: UpstreamRequest): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const deadlineMs = deadlineOf(request, clock);
      const stream = new MuxStream(request, deadlineMs, answerLimitBytes, resolve, reject);
      link.opening ??= open(baseUrl, link);
      link.opening.then(
        (opened) => {
          if (stream.isDone) return;
          if (opened !== 'http') opened.open(stream);
          else stream.handOver(fallback, baseUrl);
        },
        (error: UpstreamError) => stream.fail(error),
      );
    });

  return {
    send: (baseUrl, request) => {
      const link = linkOf(baseUrl);
      const { connection } = link;
      if (connection?.isUsable)
        return new Promise((resolve, reject) => {
          connection.open(
            new MuxStream(request, deadlineOf(request, clock), answerLimitBytes, resolve, reject),
          );
        });
      if (clock.monotonicMs() < link.httpUntilMs) return fallback.send(baseUrl, request);
      return sendOnceOpen(baseUrl, link, request);
    },
    maxWaits: (baseUrl) => links.get(baseUrl)?.connection?.maxStreams,
    forget: (baseUrl) => {
      links.get(baseUrl)?.connection?.retire();
      links.delete(baseUrl);
      fallback.forget(baseUrl);
    },
    close: async () => {
      isClosed = true;
      for (const { connection } of [...links.values()]) connection?.destroy();
      for (const connection of retired) connection.destroy();
      links.clear();
      await fallback.close();
    },
  };
}

function deadlineOf({ timeoutMs }: UpstreamRequest, clock: Clock): number {
  return timeoutMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + timeoutMs;
}

interface Upgraded {
  readonly socket: Duplex;
  readonly firstBytes: Buffer;
}

/**
 * Asks the agent for a multiplexed connection.
 *
 * @returns 'refused' when it answers by HTTP instead, whatever it says
 * @throws UpstreamError `not-sent`: it can't be reached, or doesn't answer in time
 */
function upgrade(baseUrl: string, limitMs: number, clock: Clock): Promise<Upgraded | 'refused'> {
  const request = baseUrl.startsWith('https:') ? https.request : http.request;
  const headers = { Connection: 'Upgrade', Upgrade: MUX_PROTOCOL };
  return new Promise((resolve, reject) => {
    const outgoing = request(`${baseUrl}${MUX_PATH}`, { headers, agent: false });
    const limit = clock.setTimer(limitMs, () =>
      outgoing.destroy(new Error(`no connection within ${limitMs} ms`)),
    );
    outgoing.on('close', () => limit.cancel());
    outgoing.on('upgrade', (response, socket, firstBytes) => {
      limit.cancel();
      if (response.headers.upgrade !== MUX_PROTOCOL) {
        socket.destroy();
        resolve('refused');
        return;
      }
      if ('setNoDelay' in socket) socket.setNoDelay(true);
      if ('setKeepAlive' in socket) socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
      resolve({ socket, firstBytes });
    });
    outgoing.on('response', (response) => {
      response.destroy();
      resolve('refused');
    });
    outgoing.on('error', (error) => reject(new UpstreamError('not-sent', reasonOf(error), error)));
    outgoing.end();
  });
}

/** A refused connection to a name with several addresses has its text only in the parts. */
function reasonOf(error: Error): string {
  if (error.message === '' && error instanceof AggregateError)
    return error.errors
      .map((part: unknown) => (part instanceof Error ? part.message : String(part)))
      .join(', ');
  return error.message;
}
