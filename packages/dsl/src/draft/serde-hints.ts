// Which serde is used where bytes are made in between: the operator's own, else the upstream one if the type was kept,
// else another side's, else the topology's default. `undefined` stands for "not known yet" until bytes are needed.
import { type ErasedSerde, type Serde, serde as serdes, type Windowed } from '@millrace/core';

export function firstSerde(...candidates: readonly (ErasedSerde | undefined)[]): ErasedSerde | undefined {
  return candidates.find((each) => each !== undefined);
}

/** Internal topics carry null as null bytes whatever the serde, as in Kafka Streams: a delete stays a delete. */
export function withNull(serde: ErasedSerde): ErasedSerde {
  // Sound: nullable only adds null to what the serde takes and gives.
  return serde['~null'] === true ? serde : (serdes.nullable(serde as Serde<unknown>) as ErasedSerde);
}

/** Serde of the keys of a windowed table, as Kafka Streams writes them: key bytes, window start. */
export function windowedKey(inner: ErasedSerde | undefined, sizeMs: number): ErasedSerde | undefined {
  if (inner === undefined) return undefined;
  const erased: Serde<Windowed<unknown>> = serdes.windowed(inner as Serde<unknown>, { size: sizeMs });
  return erased as ErasedSerde;
}

/** Serde of the keys of a table of sessions, as Kafka Streams writes them: key bytes, end, start. */
export function sessionKey(inner: ErasedSerde | undefined): ErasedSerde | undefined {
  if (inner === undefined) return undefined;
  const erased: Serde<Windowed<unknown>> = serdes.sessionWindowed(inner as Serde<unknown>);
  return erased as ErasedSerde;
}
