// Which groups hold offsets that wait for the end of a transaction.
// Owns: that index, by producer id.  Never: knows what a group does when the marker comes.

export class PendingMarkers<Group extends { readonly partition: number }> {
  readonly #groups = new Map<number, Set<Group>>();

  /** The group has offsets in a transaction of this producer. */
  add(group: Group, producerId: number): void {
    let groups = this.#groups.get(producerId);
    if (groups === undefined) this.#groups.set(producerId, (groups = new Set()));
    groups.add(group);
  }

  /** A marker of the producer is in the partition: `settle` is called for each group that waited there; none waits any more. */
  ended(partition: number, producerId: number, settle: (group: Group) => void): void {
    const groups = this.#groups.get(producerId);
    if (groups === undefined) return;
    for (const group of [...groups]) {
      if (group.partition !== partition) continue;
      groups.delete(group);
      settle(group);
    }
    if (groups.size === 0) this.#groups.delete(producerId);
  }
}
