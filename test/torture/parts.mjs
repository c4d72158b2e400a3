// The parts by name: what is built, what is fed in, what must come out.
import { countsPart } from './parts/counts.mjs';
import { foreignPart } from './parts/foreign.mjs';
import { ledgerPart } from './parts/ledger.mjs';
import { meetingsPart } from './parts/meetings.mjs';

export const PARTS = Object.fromEntries([countsPart, ledgerPart, meetingsPart, foreignPart].map((part) => [part.name, part]));

/** Throws for a name that is none. */
export function partsOf(names = ['counts']) {
  return names.map((name) => {
    if (PARTS[name] === undefined) throw new Error(`no part is called ${name}; there are ${Object.keys(PARTS).join(', ')}`);
    return PARTS[name];
  });
}
