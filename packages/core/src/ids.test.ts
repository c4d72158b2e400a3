import { expect, test } from 'vitest';
import { isLegalName } from './ids.ts';

test.each(['a', 'A.b_c-9', 'x'.repeat(249)])('%s is a legal name', (name) => expect(isLegalName(name)).toBe(true));
test.each(['', '.', '..', 'a b', 'a/b', 'é', 'x'.repeat(250)])('%j is no legal name', (name) => expect(isLegalName(name)).toBe(false));
