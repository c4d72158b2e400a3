// kcat: one scenario against one broker. Exit code 0 means that it passed.
// Usage: kcat.mjs ADDRESS SCENARIO NAME, with KCAT naming the program. kcat creates topics by producing to them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';

const [address, scenario, name] = process.argv.slice(2);
const WAIT_MS = 40_000;
const running = new Set();

function start(args, input) {
  const child = spawn(process.env.KCAT, ['-b', address, ...args], { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  running.add(child);
  const self = { child, out: '', error: '' };
  child.stdout.on('data', (chunk) => {
    self.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    self.error += chunk;
  });
  self.ended = new Promise((resolve) => child.on('close', (code) => resolve(code)));
  void self.ended.then(() => running.delete(child));
  if (input !== undefined) child.stdin.end(input);
  return self;
}
async function kcat(args, input) {
  const self = start(args, input);
  assert.equal(await self.ended, 0, `${args.join(' ')}: ${self.error}`);
  return self.out;
}
async function until(what, words) {
  for (const end = Date.now() + WAIT_MS; !what(); ) {
    assert(Date.now() < end, `waited ${WAIT_MS} ms: ${words()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const lines = (text) => text.split('\n').filter((line) => line !== '');
const numbers = (from, to) => Array.from({ length: to - from }, (_, at) => `${from + at}\n`).join('');
const EARLIEST = ['-X', 'auto.offset.reset=earliest'];

async function compression(codec) {
  await kcat(['-P', '-t', name, '-p', '0', ...(codec === 'none' ? [] : ['-z', codec])], numbers(0, 5000));
  assert.equal(await kcat(['-C', '-t', name, '-e', '-q']), numbers(0, 5000));
}

async function groups() {
  await kcat(['-P', '-t', `${name}-a`], numbers(0, 10));
  await kcat(['-P', '-t', `${name}-b`], numbers(10, 20));
  const args = ['-G', `${name}-g`, '-u', '-q', '-X', 'session.timeout.ms=6000', '-X', 'heartbeat.interval.ms=300', ...EARLIEST];
  const topics = [`${name}-a`, `${name}-b`];
  const one = start([...args, '-X', 'auto.commit.interval.ms=100', ...topics]);
  await until(
    () => lines(one.out).length === 20,
    () => one.out + one.error,
  );
  const two = start([...args, ...topics]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await kcat(['-P', '-t', `${name}-a`], numbers(20, 30));
  await kcat(['-P', '-t', `${name}-b`], numbers(30, 40));
  await until(
    () => lines(one.out).length + lines(two.out).length >= 40,
    () => `${one.out} and ${two.out}`,
  );
  two.child.kill('SIGINT');
  await two.ended;
  await kcat(['-P', '-t', `${name}-b`], numbers(40, 50));
  await until(
    () => lines(one.out).length + lines(two.out).length >= 50,
    () => `${one.out} and ${two.out}`,
  );
  one.child.kill('SIGINT');
  await one.ended;
  assert.equal(new Set([...lines(one.out), ...lines(two.out)]).size, 50);
}

async function transactions() {
  await kcat(['-P', '-t', name, '-p', '0', '-X', `transactional.id=${name}`], numbers(0, 100));
  const half = start(['-P', '-t', name, '-p', '0', '-X', `transactional.id=${name}`, '-X', 'linger.ms=0', '-T'], undefined);
  half.child.kill('SIGKILL');
  await half.ended;
  await kcat(['-P', '-t', name, '-p', '0', '-X', `transactional.id=${name}`], numbers(100, 200));
  assert.equal(await kcat(['-C', '-t', name, '-e', '-q', '-X', 'isolation.level=read_committed']), numbers(0, 200));
}

async function offsets() {
  await kcat(['-P', '-t', name, '-p', '0'], numbers(0, 10));
  assert.equal(await kcat(['-C', '-t', name, '-p', '0', '-o', '5', '-e', '-q']), numbers(5, 10));
  assert.equal(await kcat(['-C', '-t', name, '-p', '0', '-o', '-2', '-e', '-q']), numbers(8, 10));
  assert.equal(await kcat(['-C', '-t', name, '-p', '0', '-o', `s@${Date.now() - 60_000}`, '-e', '-q']), numbers(0, 10));
  assert.equal(await kcat(['-Q', '-t', `${name}:0:-2`]), `${name} [0] offset 0\n`);
  assert.equal(await kcat(['-Q', '-t', `${name}:0:-1`]), `${name} [0] offset 10\n`);
}

const codecs = Object.fromEntries(['none', 'gzip', 'snappy', 'lz4', 'zstd'].map((codec) => [codec, () => compression(codec)]));
const end = setTimeout(() => process.exit(2), 2 * WAIT_MS);
try {
  await { groups, transactions, offsets, ...codecs }[scenario]();
} finally {
  for (const child of running) child.kill('SIGKILL');
}
clearTimeout(end);
