// The metrics port and the registry behind it. Counting costs an add; names follow Kafka Streams where it has one.

export interface Counter {
  add(count?: number): void;
}
export interface Histogram {
  record(value: number): void;
}
export type MetricLabels = Readonly<Record<string, string>>;
export interface MetricFactory {
  counter(name: string, labels?: MetricLabels): Counter;
  gauge(name: string, read: () => number, labels?: MetricLabels): void;
  histogram(name: string, labels?: MetricLabels): Histogram;
}
export interface MetricSample {
  readonly name: string;
  readonly labels: MetricLabels;
  readonly value: number;
}
export type MetricSnapshot = readonly MetricSample[];

interface Cell {
  readonly name: string;
  readonly labels: MetricLabels;
  read(): number;
}

/** Most series one registry keeps; past it new ones are counted but not listed, so a metric by key cannot eat the heap. */
const SERIES_MAX = 10_000;

/** All metrics of one thread. A gauge that throws reads as NaN: a metric never fails a task. */
export class MetricRegistry implements MetricFactory {
  readonly #cells = new Map<string, Cell>();
  readonly #sources: (() => MetricSnapshot)[] = [];
  readonly #seriesMax: number;
  #onFull: (() => void) | undefined;

  /** `seriesMax`: 10,000 unless given. `onFull` is called once, when the first series finds no room. */
  constructor(options: { readonly seriesMax?: number; readonly onFull?: () => void } = {}) {
    this.#seriesMax = options.seriesMax ?? SERIES_MAX;
    this.#onFull = options.onFull;
  }

  /** From now on a snapshot also holds what `read` gives, which bounds itself. */
  include(read: () => MetricSnapshot): void {
    this.#sources.push(read);
  }

  counter(name: string, labels: MetricLabels = {}): Counter {
    const id = seriesId(name, labels);
    const old = this.#cells.get(id) as (Cell & Counter) | undefined;
    if (old !== undefined) return old;
    let total = 0;
    const cell: Cell & Counter = {
      name,
      labels,
      read: () => total,
      add(count = 1) {
        total += count;
      },
    };
    this.#keep(id, cell);
    return cell;
  }

  gauge(name: string, read: () => number, labels: MetricLabels = {}): void {
    this.#keep(seriesId(name, labels), { name, labels, read });
  }

  histogram(name: string, labels: MetricLabels = {}): Histogram {
    const count = this.counter(`${name}_count`, labels);
    const sum = this.counter(`${name}_sum`, labels);
    let max = 0;
    this.gauge(`${name}_max`, () => max, labels);
    return {
      record(value) {
        count.add(1);
        sum.add(value);
        if (value > max) max = value;
      },
    };
  }

  snapshot(): MetricSnapshot {
    const samples: MetricSample[] = [];
    for (const cell of this.#cells.values()) {
      let value = Number.NaN;
      try {
        value = cell.read();
      } catch {
        // a gauge over something closed: NaN says so
      }
      samples.push({ name: cell.name, labels: cell.labels, value });
    }
    for (const read of this.#sources) samples.push(...read());
    return samples;
  }

  #keep(id: string, cell: Cell): void {
    if (this.#cells.size < this.#seriesMax || this.#cells.has(id)) this.#cells.set(id, cell);
    else {
      this.#onFull?.();
      this.#onFull = undefined;
    }
  }
}

function seriesId(name: string, labels: MetricLabels): string {
  return `${name}\n${Object.entries(labels).sort().join('\n')}`;
}
