// Options that make no sense are refused by createApp, before anything is started, with their name and a right value.
import { createApp, serde, topic, topology } from 'millrace';
import { expect, test } from 'vitest';

const words = topic('words', { key: serde.string(), value: serde.string() });
const program = topology('options', (t) => void t.stream(words).to(topic('out', { key: serde.string(), value: serde.string() })));

test.each([
  ['stateDir', { stateDir: '' }],
  ['stateDir', { stateDir: 5 }],
  ['brokers', { brokers: 'localhost:9092' }],
  ['module', { module: './orders.js' }],
  ['http', { http: '8080' }],
  ['http.port', { http: { port: 70_000 } }],
  ['http.port', { http: { port: '8080' } }],
])('%s: %o', (option, options) => {
  expect(() => createApp(program, options as never)).toThrow(expect.objectContaining({ code: 'ERR_OPTION', where: { option } }));
});

test('what is right stays right', () => {
  for (const options of [{ stateDir: './data', http: { port: 0 } }, { http: false as const }, { module: new URL('./orders.js', import.meta.url) }])
    expect(createApp(program, options).state).toBe('created');
});
