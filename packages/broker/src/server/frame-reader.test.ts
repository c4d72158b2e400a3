import { MillraceError } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { FrameReader } from './frame-reader.ts';

function framed(...bodies: string[]): Buffer {
  return Buffer.concat(
    bodies.map((body) => {
      const frame = Buffer.alloc(4 + body.length);
      frame.writeInt32BE(body.length, 0);
      frame.write(body, 4);
      return frame;
    }),
  );
}
function drain(reader: FrameReader): string[] {
  const found: string[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) found.push(frame.toString());
  return found;
}

describe('frames', () => {
  const bodies = ['request-1', 'a-longer-request-2', 'request-3'];
  test('come out whole however the stream is cut', () => {
    const stream = framed(...bodies);
    for (let size = 1; size <= stream.length; size++) {
      const reader = new FrameReader(1_000);
      const found: string[] = [];
      for (let at = 0; at < stream.length; at += size) {
        reader.push(stream.subarray(at, at + size));
        found.push(...drain(reader));
      }
      expect(found, `in pieces of ${size}`).toEqual(bodies);
    }
  });

  test('wait in the reader when chunks come faster than they are taken', () => {
    const reader = new FrameReader(1_000);
    for (const byte of framed(...bodies)) reader.push(Buffer.from([byte]));
    expect(drain(reader)).toEqual(bodies);
  });

  test('larger than the first allocation come whole', () => {
    const reader = new FrameReader(10_000_000);
    const body = 'x'.repeat(3_000_000);
    const stream = framed(body, 'after-it');
    for (let at = 0; at < stream.length; at += 65_536) reader.push(stream.subarray(at, at + 65_536));
    expect(drain(reader)).toEqual([body, 'after-it']);
  });

  test.each([-2, -1, 0, 7, 1_001, 0x7fff_ffff, 352_518_912])('a length of %d is refused before anything is allocated', (length) => {
    const reader = new FrameReader(1_000);
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(length, 0);
    reader.push(bytes);
    expect(() => reader.next()).toThrow(MillraceError);
  });
});
