import { deadLetter, serde, topic, topology } from 'millrace';

export interface Reading {
  readonly sensor: string;
  readonly celsius: number;
}
export const readings = topic('readings', { key: serde.string(), value: serde.json<Reading>() });
export const fahrenheit = topic('fahrenheit', { key: serde.string(), value: serde.json<number>() });

export default topology('thermometer', (t) => {
  t.stream(readings, { onError: deadLetter('readings-dlq') }) // what cannot be decoded: kept, with the reason in its headers
    .filter((reading) => reading.celsius > -274, { onError: 'skip' }) // what fails here is dropped and counted
    .mapValues((reading) => toFahrenheit(reading), {
      value: serde.json<number>(),
      onError: (failure) => (failure.deliveries < 3 ? 'fail' : deadLetter('readings-dlq')), // twice again from the last commit, then aside
    })
    .to(fahrenheit);
});

function toFahrenheit({ celsius, sensor }: Reading): number {
  if (sensor === 'broken') throw new Error('this sensor is known to lie');
  return celsius * 1.8 + 32;
}
