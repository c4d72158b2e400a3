// Where each field of a record batch (magic 2) lies, and the bits of its attributes.
// Owns: the numbers.  Never: reads or writes.  Source: Kafka protocol guide, record batch v2; KIP-98.

export const AT_BASE_OFFSET = 0;
export const AT_LENGTH = 8;
export const AT_LEADER_EPOCH = 12;
export const AT_MAGIC = 16;
export const AT_CRC = 17;
/** The checksum covers everything from here on. Offset and leader epoch lie before it: a broker may set them in place. */
export const AT_ATTRIBUTES = 21;
export const AT_LAST_OFFSET_DELTA = 23;
export const AT_BASE_TIMESTAMP = 27;
export const AT_MAX_TIMESTAMP = 35;
export const AT_PRODUCER_ID = 43;
export const AT_PRODUCER_EPOCH = 51;
export const AT_BASE_SEQUENCE = 53;
export const AT_COUNT = 57;
/** Size of the header: records begin here. */
export const BATCH_HEADER_BYTES = 61;
/** What the length field does not count: base offset and the length itself. */
export const LENGTH_PREFIX_BYTES = 12;
/** Length, attributes, timestamp, offset, key length, value length, header count: a byte each at least. */
export const RECORD_BYTES_MIN = 7;

export const MAGIC = 2;

export const COMPRESSION_MASK = 0x07;
export const LOG_APPEND_TIME_BIT = 0x08;
export const TRANSACTIONAL_BIT = 0x10;
export const CONTROL_BIT = 0x20;
/** The base timestamp is the time from which tombstones and markers of this batch may go. */
export const DELETE_HORIZON_BIT = 0x40;
