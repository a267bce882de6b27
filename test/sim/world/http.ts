/** HTTP between simulated machines: the agents' real dispatch on one side, the gateway's transport seam on the other. */

import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { EMPTY, type HeaderList, type WholeAnswer } from '../../../gateway/exchange/exchange.ts';
import {
  allHeaders,
  type Transport,
  UpstreamError,
  type UpstreamRequest,
} from '../../../gateway/upstream/transport.ts';
import type { Dispatcher } from '../../../node/http/dispatch.ts';
import type { SimulatedClock } from '../../../shared/simulated-env.ts';
import type { Host } from './host.ts';
import { type Links, RETRANSMIT_MS } from './links.ts';

const CONNECT_TIMEOUT_MS = 1000;
export const HTTP_PORT = 8500;

/** Which agents listen for HTTP, and what is under way to them. */
export class HttpNetwork {
  readonly #clock: SimulatedClock;
  readonly #links: Links;
  readonly #hosts = new Map<string, Host>();
  readonly #agents = new Map<Host, { readonly life: number; readonly dispatcher: Dispatcher }>();
  readonly #open = new Set<HttpCall>();

  constructor(clock: SimulatedClock, links: Links) {
    this.#clock = clock;
    this.#links = links;
  }

  /** The agent on this host serves HTTP until its process ends. */
  listen(host: Host, dispatcher: Dispatcher): void {
    this.#hosts.set(host.ip, host);
    this.#agents.set(host, { life: host.life, dispatcher });
  }

  dispatcherOf(host: Host): Dispatcher | undefined {
    const agent = this.#agents.get(host);
    return agent?.life === host.life ? agent.dispatcher : undefined;
  }

  /** What the current life of a host sends requests with. */
  transportOf(host: Host): Transport {
    const { life } = host;
    return {
      send: (baseUrl, request) =>
        new Promise((resolve, reject) => {
          const ip = new URL(baseUrl).hostname;
          const call = new HttpCall(this, this.#clock, this.#links, { host, life, ip, request });
          this.#open.add(call);
          call.start(resolve, reject);
        }),
      forget: () => {},
      close: async () => {},
    };
  }

  hostAt(ip: string): Host | undefined {
    return this.#hosts.get(ip);
  }

  /** The process of this host has ended; its kernel says so to who waits for an answer, unless the power is gone. */
  ended(host: Host): void {
    if (host.hasPower) for (const call of [...this.#open]) call.agentGone(host);
  }

  /** Runs again: who still waits for an answer of the former life learns that there will be none. */
  restarted(host: Host): void {
    for (const call of [...this.#open]) call.agentGone(host);
  }

  settled(call: HttpCall): void {
    this.#open.delete(call);
  }
}

interface CallParts {
  readonly host: Host;
  readonly life: number;
  readonly ip: string;
  readonly request: UpstreamRequest;
}

/** One request and its answer. Invariant: settled once; afterwards the agent may still act, but nobody hears of it. */
class HttpCall {
  readonly #network: HttpNetwork;
  readonly #clock: SimulatedClock;
  readonly #links: Links;
  readonly #parts: CallParts;
  #resolve: (answer: WholeAnswer) => void = () => {};
  #reject: (error: UpstreamError) => void = () => {};
  #isSettled = false;
  #servedBy: { readonly host: Host; readonly life: number } | undefined;
  #response: SimulatedResponse | undefined;

  constructor(network: HttpNetwork, clock: SimulatedClock, links: Links, parts: CallParts) {
    this.#network = network;
    this.#clock = clock;
    this.#links = links;
    this.#parts = parts;
  }

  start(resolve: (answer: WholeAnswer) => void, reject: (error: UpstreamError) => void): void {
    this.#resolve = resolve;
    this.#reject = reject;
    const { host, ip, request } = this.#parts;
    request.onStart?.((reason) => this.#fail(reason));
    if (request.timeoutMs > 0)
      this.#later(request.timeoutMs, () =>
        this.#fail(new UpstreamError('timeout', `no answer from ${ip} within ${request.timeoutMs} ms`)),
      );
    const refusedAtMs = this.#clock.monotonicMs() + CONNECT_TIMEOUT_MS;
    const connect = () => {
      const target = this.#network.hostAt(ip);
      if (this.#isSettled) return;
      if (target === undefined || !target.hasPower || !this.#links.isWhole(host.ip, ip)) {
        if (this.#clock.monotonicMs() >= refusedAtMs)
          this.#fail(new UpstreamError('not-sent', `connect to ${ip} timed out`));
        else this.#later(RETRANSMIT_MS, connect);
      } else if (this.#network.dispatcherOf(target) === undefined) {
        this.#fail(new UpstreamError('not-sent', `connect ECONNREFUSED ${ip}`));
      } else this.#travel(host.ip, ip, () => this.#arrive(target, target.life));
    };
    this.#later(this.#links.reliableDelayMs(host.ip, ip), connect);
  }

  agentGone(host: Host): void {
    if (this.#servedBy?.host !== host || this.#servedBy.life === host.life) return;
    const { host: caller, ip } = this.#parts;
    this.#travel(ip, caller.ip, () => this.#fail(new UpstreamError('broken', `${ip} closed the connection`)));
  }

  #arrive(target: Host, life: number): void {
    if (target.life !== life) {
      this.#fail(new UpstreamError('broken', `${this.#parts.ip} closed the connection`));
      return;
    }
    this.#servedBy = { host: target, life };
    target.run(life, () => {
      const { host, request } = this.#parts;
      const response = new SimulatedResponse((answer) =>
        this.#travel(target.ip, host.ip, () => this.#answered(answer)),
      );
      this.#response = response;
      const incoming = new SimulatedRequest(request, host.ip);
      this.#network
        .dispatcherOf(target)
        ?.dispatch(
          incoming as unknown as IncomingMessage,
          response as unknown as ServerResponse<IncomingMessage>,
        );
    });
  }

  #answered(answer: WholeAnswer): void {
    const { host, life } = this.#parts;
    host.run(life, () => this.#settle(() => this.#resolve(answer)));
  }

  #fail(error: UpstreamError): void {
    const { host, ip, life } = this.#parts;
    host.run(life, () =>
      this.#settle(() => {
        this.#reject(error);
        const served = this.#servedBy;
        if (served === undefined) return;
        this.#travel(host.ip, ip, () => served.host.run(served.life, () => this.#response?.destroy()));
      }),
    );
  }

  #settle(tell: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#network.settled(this);
    tell();
  }

  /** Arrives in the end, however often it must be sent. */
  #travel(from: string, to: string, arrive: () => void): void {
    const attempt = () => {
      if (this.#links.isCut(from, to)) this.#clock.setTimer(RETRANSMIT_MS, attempt);
      else arrive();
    };
    this.#clock.setTimer(this.#links.reliableDelayMs(from, to), attempt);
  }

  #later(ms: number, action: () => void): void {
    const { host, life } = this.#parts;
    this.#clock.setTimer(ms, () => host.run(life, action));
  }
}

/** What a route looks at in a request. The body comes once somebody listens for its end. */
class SimulatedRequest extends EventEmitter {
  readonly url: string;
  readonly method: string;
  readonly rawHeaders: HeaderList;
  readonly headers: Readonly<Record<string, string>>;
  readonly socket: { readonly remoteAddress: string };
  readonly #body: Uint8Array;

  constructor(request: UpstreamRequest, remoteAddress: string) {
    super();
    this.url = request.target;
    this.method = request.method;
    this.socket = { remoteAddress };
    this.#body = request.body.kind === 'bytes' ? request.body.bytes : EMPTY;
    this.rawHeaders = [...allHeaders(request), 'Content-Length', String(this.#body.length)];
    this.headers = { 'content-length': String(this.#body.length) };
  }

  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    super.on(event, listener as (...args: unknown[]) => void);
    if (event === 'end')
      queueMicrotask(() => {
        this.emit('data', Buffer.from(this.#body));
        this.emit('end');
      });
    return this;
  }
}

class SimulatedResponse extends EventEmitter {
  destroyed = false;
  headersSent = false;
  writableFinished = false;
  readonly #answered: (answer: WholeAnswer) => void;
  #status = 0;
  #headers: HeaderList = [];

  constructor(answered: (answer: WholeAnswer) => void) {
    super();
    this.#answered = answered;
  }

  writeHead(status: number, headers: HeaderList): void {
    this.headersSent = true;
    this.#status = status;
    this.#headers = headers;
  }

  end(body: Uint8Array | string = '', encoding: BufferEncoding = 'utf8'): void {
    if (this.destroyed || this.writableFinished) return;
    this.writableFinished = true;
    const bytes = typeof body === 'string' ? Buffer.from(body, encoding) : Buffer.from(body);
    this.#answered({ status: this.#status, headers: this.#headers, body: bytes });
    this.emit('close');
  }

  /** The connection is gone. */
  destroy(): void {
    if (this.destroyed || this.writableFinished) return;
    this.destroyed = true;
    this.emit('close');
  }
}
