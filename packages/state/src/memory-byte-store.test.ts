import { test } from 'vitest';
import { engineConformance } from './conformance.ts';
import { memoryEngine } from './memory-byte-store.ts';

engineConformance({ engine: memoryEngine, freshDirectory: () => 'memory', test });
