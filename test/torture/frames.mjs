// Kafka's wire format as far as a man in the middle needs it: frames, request headers, where record data lies, and the answers that tell addresses.
// Never: holds a socket.  Lengths here are without the 4 bytes of the length itself.
import { APIS, api, decodeRequest, decodeResponse, encodeResponse } from '@millrace/protocol';

const FRAME_MAX = 128 * 1024 * 1024;

/** Cuts a byte stream into whole frames, each with its 4-byte length. `feed` returns what became whole. */
export function frameSplitter() {
  let held = Buffer.alloc(0);
  return {
    feed(chunk) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const frames = [];
      while (held.length >= 4) {
        const length = held.readInt32BE(0);
        if (length < 0 || length > FRAME_MAX) throw new Error(`a frame of ${length} bytes`);
        if (held.length < 4 + length) break;
        frames.push(held.subarray(0, 4 + length));
        held = held.subarray(4 + length);
      }
      return frames;
    },
  };
}

/** API key, version and correlation id of a request frame. */
export function requestHeader(frame) {
  return { key: frame.readInt16BE(4), version: frame.readInt16BE(6), correlationId: frame.readInt32BE(8) };
}

export const correlationIdOf = (frame) => frame.readInt32BE(4);
export const apiName = (key) => api(key)?.name ?? `API ${key}`;

/** The API key of a name such as 'EndTxn'; throws for one that nobody knows. */
export function apiKeyOf(name) {
  const found = Object.values(APIS).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no API is called ${name}`);
  return found.key;
}

/** Byte ranges of the frame that hold record data under a checksum: from the batch's attributes on, where CRC-32C begins. */
export function checkedRanges(frame, { key, version }, isRequest) {
  if (key !== APIS.produce.key && key !== APIS.fetch.key) return [];
  if (isRequest !== (key === APIS.produce.key)) return [];
  const body = frame.subarray(4);
  const decoded = isRequest ? decodeRequest(body).body : decodeResponse(api(key), version, body).body;
  const partitions = isRequest ? decoded.topicData.flatMap((topic) => topic.partitionData) : decoded.responses.flatMap((topic) => topic.partitions);
  const ranges = [];
  for (const { records } of partitions) {
    if (records === null || records.length < 62) continue;
    const start = records.byteOffset - frame.byteOffset;
    const batchEnd = 12 + records.readInt32BE(8); // the first batch; one that is cut short is read again anyway
    if (batchEnd <= records.length) ranges.push([start + 21, start + batchEnd]);
  }
  return ranges;
}

/** The same answer with every broker address replaced by what `replace(host, port)` returns; other answers are returned as they are. */
export function withAddresses(frame, { key, version }, replace) {
  const known = api(key);
  if (key !== APIS.metadata.key && key !== APIS.findCoordinator.key && key !== APIS.describeCluster.key) return frame;
  const { correlationId, body } = decodeResponse(known, version, frame.subarray(4));
  const moved = (one) => ('host' in one && one.port > 0 ? { ...one, ...replace(one.host, one.port) } : one);
  const changed = moved(body);
  for (const list of ['brokers', 'coordinators']) if (Array.isArray(changed[list])) changed[list] = changed[list].map(moved);
  return encodeResponse(known, version, correlationId, changed);
}
