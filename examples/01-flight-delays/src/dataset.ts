// The data: 20,000 US flights of early 2001 and 3,376 airports, as the npm package `vega-datasets` ships them.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';

export interface FlightRow {
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}
export interface AirportRow {
  readonly iata: string;
  readonly name: string;
  readonly city: string;
  readonly state: string;
  readonly country: string;
  readonly latitude: string;
  readonly longitude: string;
}

export function readFlights(): readonly FlightRow[] {
  return JSON.parse(readFileSync(dataFile('flights-20k.json'), 'utf8')) as FlightRow[];
}

export function readAirports(): readonly AirportRow[] {
  return parse(readFileSync(dataFile('airports.csv')), { columns: true, skip_empty_lines: true }) as AirportRow[];
}

/** The package exports its code only; its data lies in the folder `data` beside it. */
function dataFile(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.resolve('vega-datasets')));
  while (!existsSync(join(folder, 'data', name))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`vega-datasets has no data/${name}; run npm ci`);
    folder = parent;
  }
  return join(folder, 'data', name);
}
