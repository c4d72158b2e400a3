// The logger port: fields first, text second. Secrets never go into fields.

/** Where Millrace's own words go. `fields` are plain data for machines, `text` is a sentence; neither holds records or secrets. */
export interface Logger {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A logger that says nothing. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** JSON lines through `writeLine`, from `level` up. */
export function jsonLogger(level: LogLevel, writeLine: (line: string) => void, nowMs: () => number): Logger {
  const from = LOG_LEVELS.indexOf(level);
  const at =
    (index: number, name: LogLevel) =>
    (fields: object, text: string): void => {
      if (index >= from) writeLine(JSON.stringify({ time: new Date(nowMs()).toISOString(), level: name, text, ...fields }));
    };
  return { debug: at(0, 'debug'), info: at(1, 'info'), warn: at(2, 'warn'), error: at(3, 'error') };
}
