// Which states had the worst days? Flights meet their origin airport, then every state and day is summed up.
// This file is the whole program: topics, stores, and the flow between them. Change it and run `npm start` again.
import { serde, store, topic, topology, windows } from 'millrace';

interface Flight {
  readonly date: string; // '2001/01/01 00:47', UTC
  readonly delay: number; // minutes; negative when early
  readonly origin: string;
  readonly destination: string;
  readonly distance: number;
}
interface Airport {
  readonly name: string;
  readonly city: string;
  readonly state: string;
}
/** What is known about one state on one day. */
export interface DelaySummary {
  readonly flights: number;
  readonly delayed: number;
  readonly delayMinutes: number;
  readonly averageDelay: number;
}

const DELAYED_AFTER_MINUTES = 15;

// The event time of a flight is its date; an airport has been there since the beginning of time. A broker deletes what is older
// than a topic's retention, and these flights left in 2001: keep them for ever.
const forEver = { 'retention.ms': -1 };
export const flights = topic('flights', {
  key: serde.string(),
  value: serde.json<Flight>(),
  partitions: 4,
  config: forEver,
  timestamp: (flight) => departure(flight.date),
});
export const airports = topic('airports', { key: serde.string(), value: serde.json<Airport>(), partitions: 4 });
export const results = topic('state-delays', {
  key: serde.windowed(serde.string(), { size: '1 day' }),
  value: serde.json<DelaySummary>(),
  partitions: 4,
  config: forEver,
});

export const stateDelays = store.window('state-delays', { key: serde.string(), value: serde.json<DelaySummary>(), changelog: { config: forEver } });
export const unknownOrigins = store.keyValue('unknown-origins', { key: serde.string(), value: serde.safeInt() });

export default topology('flight-delays', (t) => {
  const departures = t.stream(flights);
  const places = t.table(airports);

  departures
    .join(places, (flight, airport) => ({ state: airport.state, delay: flight.delay }))
    .groupBy((flight) => flight.state, { as: 'by-state' })
    // The file spans 90 days, and partitions are read in any order: with this grace no flight is ever late.
    .windowedBy(windows.tumbling({ size: '1 day', grace: '120 days' }))
    .aggregate({
      initial: () => ({ flights: 0, delayed: 0, delayMinutes: 0, averageDelay: 0 }),
      add: (day: DelaySummary, flight) =>
        summary(day.flights + 1, day.delayed + (flight.delay > DELAYED_AFTER_MINUTES ? 1 : 0), day.delayMinutes + flight.delay),
      store: stateDelays,
    })
    .toStream()
    .to(results);

  // An inner join drops a flight whose airport nobody knows. Count those, so that none is lost in silence.
  departures
    .leftJoin(places, (_flight, airport) => airport === undefined)
    .filter((unknown) => unknown)
    .groupByKey()
    .count({ store: unknownOrigins });
});

function summary(flightCount: number, delayed: number, delayMinutes: number): DelaySummary {
  return { flights: flightCount, delayed, delayMinutes, averageDelay: averageOf(delayMinutes, flightCount) };
}

/** Two decimals, half away from zero, in whole numbers until the last step: no rounding error can tip a half. */
export function averageOf(total: number, count: number): number {
  const hundredths = Math.floor((Math.abs(total) * 200 + count) / (2 * count));
  return total < 0 && hundredths > 0 ? -hundredths / 100 : hundredths / 100;
}

/** '2001/01/01 00:47' in UTC, as ms since the epoch. */
export function departure(date: string): number {
  return Date.UTC(Number(date.slice(0, 4)), Number(date.slice(5, 7)) - 1, Number(date.slice(8, 10)), Number(date.slice(11, 13)), Number(date.slice(14, 16)));
}
