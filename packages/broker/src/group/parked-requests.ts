// Requests that wait for their answer, by ticket: a join or sync for as long as the group's members take.
// Owns: the tickets.  Never: knows groups.
import { type AskedRequest, type GroupReply, refusal } from './requests.ts';

interface Parked {
  readonly request: AskedRequest;
  readonly answer: (reply: GroupReply) => void;
}

export class ParkedRequests {
  readonly #parked = new Map<number, Parked>();
  #ticket = 0;

  /** The ticket of the request. */
  park(request: AskedRequest, answer: (reply: GroupReply) => void): number {
    const ticket = this.#ticket++;
    this.#parked.set(ticket, { request, answer });
    return ticket;
  }
  /** Nothing happens for a ticket that has been answered: all of them are when the broker stops. */
  answer(ticket: number, reply: GroupReply): void {
    const parked = this.#parked.get(ticket);
    if (parked === undefined) return;
    this.#parked.delete(ticket);
    parked.answer(reply);
  }
  refuse(ticket: number, errorCode: number): void {
    const parked = this.#parked.get(ticket);
    if (parked !== undefined) this.answer(ticket, refusal(parked.request, errorCode));
  }
  refuseAll(errorCode: number): void {
    for (const ticket of [...this.#parked.keys()]) this.refuse(ticket, errorCode);
  }
}
