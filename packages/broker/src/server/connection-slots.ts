// How many connections may be open: in all, and from one address.
// Owns: the counts.  Never: knows sockets.

export class ConnectionSlots {
  readonly #total: number;
  readonly #perAddress: number;
  readonly #byAddress = new Map<string, number>();
  #taken = 0;

  constructor(total: number, perAddress: number) {
    this.#total = total;
    this.#perAddress = perAddress;
  }

  get taken(): number {
    return this.#taken;
  }

  /** How to give the slot back (once), or why there is none. */
  take(address: string): (() => void) | 'total' | 'address' {
    if (this.#taken >= this.#total) return 'total';
    const mine = this.#byAddress.get(address) ?? 0;
    if (mine >= this.#perAddress) return 'address';
    this.#taken++;
    this.#byAddress.set(address, mine + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#taken--;
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    };
  }
}
