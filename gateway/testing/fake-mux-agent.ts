/** An agent's end of multiplexed connections, for tests: says and does frame by frame what it is told. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { FrameReader } from '../../shared/mux/frame-reader.ts';
import { FrameWriter } from '../../shared/mux/frame-writer.ts';
import { MUX_PROTOCOL } from '../../shared/mux/frames.ts';

export interface MuxAgentRequest {
  readonly stream: number;
  readonly head: readonly string[];
  body: string;
  isComplete: boolean;
}

export class FakeMuxAgent {
  url = '';
  /** 'mux' upgrades, 'http' answers the upgrade like any request, 'silent' doesn't answer it at all. */
  offers: 'mux' | 'http' | 'silent' = 'mux';
  maxStreams = 100;
  connections = 0;
  readonly requests: MuxAgentRequest[] = [];
  readonly resets: number[] = [];
  /** Targets that came by plain HTTP, upgrades included. */
  readonly byHttp: string[] = [];
  grantedBytes = 0;
  pings = 0;
  answersPings = true;
  onRequest: (request: MuxAgentRequest) => void = () => undefined;
  #server: Server | undefined;
  #socket: Duplex | undefined;
  readonly #all = new Set<Duplex>();

  static async start(port = 0): Promise<FakeMuxAgent> {
    const agent = new FakeMuxAgent();
    await agent.listen(port);
    return agent;
  }

  async listen(port: number): Promise<void> {
    const server = createServer(
      { shouldUpgradeCallback: () => this.offers !== 'http' },
      (request, response) => {
        this.byHttp.push(request.url ?? '');
        if (request.headers.upgrade === undefined) response.end(`http ${request.url}`);
        else response.writeHead(404).end();
      },
    );
    server.on('upgrade', (_request, socket) => this.#upgrade(socket));
    server.on('connection', (socket) => {
      this.#all.add(socket);
      socket.on('close', () => this.#all.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#server = server;
  }

  say(write: (frames: FrameWriter) => void): void {
    const frames = new FrameWriter();
    write(frames);
    this.#socket?.write(Buffer.concat(frames.take()));
  }

  sayBytes(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  /** The connection breaks, and new ones are refused. */
  async die(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.breakConnections();
    await closed;
  }

  breakConnections(): void {
    for (const socket of this.#all) socket.destroy();
  }

  #upgrade(socket: Duplex): void {
    if (this.offers === 'silent') return;
    this.connections++;
    this.#socket = socket;
    const open = new Map<number, MuxAgentRequest>();
    const unexpected = () => {
      throw new Error('no gateway says that');
    };
    const reader = new FrameReader({
      onHello: unexpected,
      onRequest: (stream, isEnd, head, body) => {
        const request = { stream, head: head.split('\n'), body: body.toString(), isComplete: isEnd };
        open.set(stream, request);
        this.requests.push(request);
        this.onRequest(request);
      },
      onResponse: unexpected,
      onData: (stream, isEnd, bytes) => {
        const request = open.get(stream);
        if (request === undefined) return;
        request.body += bytes.toString();
        request.isComplete = isEnd;
        this.say((frames) => frames.window(stream, bytes.length));
      },
      onWindow: (_stream, bytes) => {
        this.grantedBytes += bytes;
      },
      onReset: (stream) => void this.resets.push(stream),
      onPing: (token) => {
        this.pings++;
        if (this.answersPings) this.say((frames) => frames.pong(token));
      },
      onPong: unexpected,
      onGoaway: unexpected,
    });
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
    socket.on('error', () => undefined);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${MUX_PROTOCOL}\r\n\r\n`,
    );
    this.say((frames) => frames.hello(this.maxStreams));
  }
}
