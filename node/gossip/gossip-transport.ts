/** What a pool needs from the network; the real one is `transport.ts`, the simulator brings its own. */

export interface Endpoint {
  /** IP text. */
  readonly host: string;
  readonly port: number;
}

/** One connection. Bytes arrive in order until it closes; a stream that nobody listens to buffers nothing. */
export interface GossipStream {
  readonly remote: Endpoint;
  /** To be called once, in the same turn in which the stream was received. `error` is undefined for an orderly end. */
  listen(onBytes: (chunk: Uint8Array) => void, onClose: (error: Error | undefined) => void): void;
  write(bytes: Uint8Array): void;
  /** Closes after what was written has gone out. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export interface TransportListener {
  onPacket(packet: Uint8Array, from: Endpoint): void;
  onStream(stream: GossipStream): void;
  /** Trouble on a socket that no caller waits for. */
  onError(error: Error): void;
}

export interface GossipTransport {
  /**
   * Binds UDP and TCP to one port; 0 picks a free one.
   * @returns the port
   * @throws Error naming address and port, with the system's error as cause and its code
   */
  bind(host: string, port: number, listener: TransportListener): Promise<number>;
  /** Best effort; never throws. */
  sendPacket(packet: Uint8Array, to: Endpoint): void;
  /** @throws Error in Go's words: `dial tcp 127.0.0.1:1: connect: connection refused` */
  connect(to: Endpoint, timeoutMs: number): Promise<GossipStream>;
  /** All addresses of a DNS name. @throws Error `lookup x: no such host` */
  resolve(name: string): Promise<readonly string[]>;
  /** Idempotent; open streams are closed. */
  close(): Promise<void>;
}
