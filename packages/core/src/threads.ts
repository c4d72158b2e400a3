// Threads as a port: a worker or the embedded broker runs beside the main thread and talks by messages.
// Messages are structured clones, in order. A thread that dies says so exactly once.

export interface Thread {
  post(message: unknown): void;
  /** Ends the thread wherever it is; resolves when it is gone. */
  terminate(): Promise<void>;
}

export interface ThreadEvents {
  onMessage(message: unknown): void;
  /** `error` undefined: it ended by itself. */
  onExit(error: Error | undefined): void;
}

export interface ThreadOptions {
  /** Room for short-lived objects, MiB. More means fewer collections where much is made and little is kept. Default: the platform's. */
  readonly youngGenerationMb?: number;
}

export interface Threads {
  /** Starts `module` (a file URL) in a thread; `data` reaches it as `ThreadSide.data`. */
  spawn(module: string, data: unknown, events: ThreadEvents, options?: ThreadOptions): Thread;
}

/** The thread's own end. */
export interface ThreadSide {
  readonly data: unknown;
  post(message: unknown): void;
  onMessage(receive: (message: unknown) => void): void;
  /** Lets the thread end once nothing else keeps it. */
  close(): void;
}
