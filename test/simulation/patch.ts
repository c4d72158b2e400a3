// Puts a defect into a method for the time of a test: the code that is shipped knows nothing of it.

type Method = (this: never, ...args: never[]) => unknown;

/** Replaces methods and takes all of them back with one call. */
export class Patches {
  readonly #undo: (() => void)[] = [];

  /** `make` gets the original. */
  method<T extends object, K extends keyof T>(target: T, name: K, make: (original: T[K] & Method) => (this: T, ...args: never[]) => unknown): void {
    const original = target[name];
    target[name] = make(original as T[K] & Method) as T[K];
    this.#undo.push(() => {
      target[name] = original;
    });
  }
  undo(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}
