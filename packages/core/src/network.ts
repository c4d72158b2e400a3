// Sockets as a port: the client and the broker speak to this; node:net and node:tls live in one adapter.
// Bytes arrive by callback (no stream machinery); writes are gathered between cork and uncork.

export interface SocketEvents {
  /** A chunk as it came; the callee may keep it. */
  onData(chunk: Buffer): void;
  /** Called once: the connection is over, for whatever reason. `error` is undefined after a plain end. */
  onClose(error: Error | undefined): void;
  /** The write buffer has drained below its mark after `write` returned false. */
  onDrain?(): void;
}

export interface Socket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The distinguished name (RFC 2253) of the peer's certificate, when one was asked for and has been verified. */
  readonly peerName?: string | undefined;
  /** Bytes handed over that the system has not taken yet. */
  readonly bufferedBytes: number;
  /**
   * Hands bytes over; they are sent from where they lie, so the caller must not change them before the peer has answered them or the
   * connection is over. False: wait for `onDrain` before writing much more.
   * `taken` is called, perhaps before this returns, once the system has these bytes and all before them, so that their memory may be
   * used anew; never if the connection ends first.
   */
  write(bytes: Uint8Array, taken?: () => void): boolean;
  cork(): void;
  uncork(): void;
  /** Stops and restarts reading (back-pressure). */
  pause(): void;
  resume(): void;
  /** Sends what is buffered, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** undefined: plain TCP. Otherwise node:tls ConnectionOptions. */
  readonly tls?: object | undefined;
  /** Aborted before the connection stands: the attempt fails at once, and nothing of it is left. */
  readonly signal?: AbortSignal | undefined;
}

export interface Listener {
  /** The bound port (also when 0 was asked for). */
  readonly port: number;
  readonly host: string;
  /** Connections from now on are made with these TLS options (new certificates); without effect on a plain listener. Throws ERR_OPTION. */
  renewTls?(tls: object): void;
  /** Stops accepting and frees the port. Connections accepted before live on: close them yourself. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** undefined: plain TCP. Otherwise node:tls TlsOptions. */
  readonly tls?: object | undefined;
  /**
   * Asked as soon as a connection comes in, before any TLS handshake: what to call when it is over, or undefined to turn it away.
   * So connections that never finish a handshake count too.
   */
  readonly admit?: ((remoteAddress: string) => (() => void) | undefined) | undefined;
}

export interface Network {
  /**
   * Rejects with ERR_CONNECTION (refused, unreachable, timed out, given up), naming host and port, and with ERR_AUTHENTICATION when the other side's
   * certificate is not to be trusted.
   */
  connect(options: ConnectOptions, events: SocketEvents): Promise<Socket>;
  /** Rejects with ERR_PORT_IN_USE, ERR_OPTION. `accept` returns the events of the new connection. */
  listen(options: ListenOptions, accept: (socket: Socket) => SocketEvents): Promise<Listener>;
}
