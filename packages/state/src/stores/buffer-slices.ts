// Declarations only: methods of Node's Buffer that its type package leaves out. They skip the encoding lookup of `toString`.
declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    utf8Slice(start?: number, end?: number): string;
    /** Writes UTF-8 and returns the bytes written: whole characters only, as many as fit. */
    utf8Write(text: string, at?: number, length?: number): number;
  }
}

export {};
