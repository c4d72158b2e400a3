// An instance that is told to stop while it waits for a broker that does not come: it ends then, not when its patience would have ended.
import { createServer } from 'node:net';
import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = { key: serde.string(), value: serde.string() };
const passing = topology('passing', (t) => void t.stream(topic('passing-in', text)).to(topic('passing-out', text)));

/** A port where nobody listens any more. */
async function freedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test.each(['nobody listens', 'nobody answers'])('%s at the address of the broker, for longer than this test may take', async (what) => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const port = what === 'nobody listens' ? await freedPort() : (silent.address() as { readonly port: number }).port;
  const app = rig.create(passing, { engine: 'memory', disk: `passing-${port}`, brokers: [`127.0.0.1:${port}`], connectionTimeout: '1h', requestTimeout: '1h' });
  const started = app.start().then(
    () => 'started',
    (error: unknown) => (error as { readonly code?: string }).code,
  );
  await new Promise((resolve) => setImmediate(resolve)); // it is on its way
  await app.close();
  expect(await started).toBe('ERR_CLOSED');
  expect(app.state).toBe('stopped');
  silent.close();
});
