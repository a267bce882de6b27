/** Gateways of a simulated cluster: the real layers over the simulated transport, and how a client calls through them. */

import { createMemoryState } from '../../../gateway/cache/shared-state.ts';
import {
  type Answer,
  EMPTY,
  type HeaderList,
  isWhole,
  NO_BODY,
  type WholeAnswer,
} from '../../../gateway/exchange/exchange.ts';
import { buildLayers, type Layers } from '../../../gateway/layers.ts';
import { parseSettings } from '../../../gateway/settings/settings.ts';
import { UpstreamError } from '../../../gateway/upstream/transport.ts';
import { endProcess, logOf, type Surroundings } from './agents.ts';
import type { Host } from './host.ts';
import { HTTP_PORT } from './http.ts';

export interface HttpRequestText {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly target: string;
  readonly body?: string | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly text: string;
}

/** Nobody took the request: it certainly had no effect. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

/** How a client reaches the cluster. Rejects, or never answers, when it is not known what became of the request. */
export interface Access {
  readonly name: string;
  call(request: HttpRequestText): Promise<HttpAnswer>;
}

/** Its clients are on the same machine: only the way from the gateway to the agents can fail. */
export class Gateway implements Access {
  readonly host: Host;
  readonly #around: Surroundings;
  readonly #agents: readonly Host[];
  #layers: Layers | undefined;
  /** How those who wait for an answer learn that there will be none. */
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(host: Host, around: Surroundings, agents: readonly Host[]) {
    this.host = host;
    this.#around = around;
    this.#agents = agents;
  }

  get name(): string {
    return this.host.name;
  }

  boot(): void {
    const env = this.host.boot();
    const nodes = this.#agents.map(({ ip }) => `http://${ip}:${HTTP_PORT}`).join(',');
    this.#layers = buildLayers({
      settings: parseSettings({ GATEWAY_NODES: nodes }),
      transport: this.#around.http.transportOf(this.host),
      sharedState: createMemoryState(1_000_000, () => env.clock.monotonicMs()),
      openExchange: () => {
        throw new Error('requests come as exchanges');
      },
      sharesWork: true,
      env,
      logger: logOf(this.host, 'gateway', this.#around),
    });
    this.#layers.poller.start();
  }

  end(): void {
    this.#layers = undefined;
    endProcess(this.host, this.#around);
    for (const reject of this.#waiting) reject(new Error('the gateway died'));
    this.#waiting.clear();
  }

  call(request: HttpRequestText): Promise<HttpAnswer> {
    const { host } = this;
    const layers = this.#layers;
    if (layers === undefined) return Promise.reject(new NotSent('the gateway is down'));
    const body = bodyOf(request);
    const { life } = host;
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      host.run(life, () => {
        const answered = layers.answer({
          method: request.method,
          target: request.target,
          headers: [],
          protocol: '',
          clientAddress: host.ip,
          readBody: async () => body,
          onClientGone: () => () => {},
          respond: () => {
            throw new Error('answers are taken as they are');
          },
        });
        answered.then((answer) => {
          // Nobody hears of an answer that a former life of the process gave.
          if (this.#waiting.delete(reject)) host.run(life, () => resolve(textOf(whole(answer))));
        }, reject);
      });
    });
  }
}

/**
 * A client that talks to one agent, without anybody's retries but the agent's own.
 *
 * @param agentNow which one; another only when that one is gone for good
 */
export function directAccess(host: Host, agentNow: () => Host, { http }: Surroundings): Access {
  const transport = http.transportOf(host);
  return {
    get name() {
      return `${host.name} at ${agentNow().name}`;
    },
    call: async (request) => {
      try {
        const answer = await transport.send(`http://${agentNow().ip}:${HTTP_PORT}`, {
          method: request.method,
          target: request.target,
          headers: [],
          body: bodyOf(request),
          delivery: 'whole',
          isWait: false,
          timeoutMs: 0,
        });
        return textOf(whole(answer));
      } catch (error) {
        throw error instanceof UpstreamError && error.kind === 'not-sent'
          ? new NotSent(error.message)
          : error;
      }
    },
  };
}

function bodyOf({ body }: HttpRequestText) {
  return body === undefined
    ? NO_BODY
    : ({ kind: 'bytes', bytes: Buffer.from(body), isChunked: false } as const);
}

function whole(answer: Answer): WholeAnswer {
  if (isWhole(answer)) return answer;
  void answer.body.cancel();
  return { ...answer, body: EMPTY };
}

function textOf({ status, headers, body }: WholeAnswer): HttpAnswer {
  return { status, headers, text: Buffer.from(body).toString('utf8') };
}
