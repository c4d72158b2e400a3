// A vitest reporter that leaves the counts, and why something was skipped, in the file named by MILLRACE_TEST_RESULT.
import { writeFileSync } from 'node:fs';

const SKIPS_MAX = 1000;

export default class ResultReporter {
  onTestRunEnd(modules, errors) {
    const result = { passed: 0, failed: errors.length, skips: [] };
    for (const module of modules) {
      let inside = 0;
      for (const test of module.children.allTests()) {
        inside++;
        const { state, note } = test.result();
        if (state === 'passed') result.passed++;
        else if (state === 'failed') result.failed++;
        else if (state === 'skipped' && result.skips.length < SKIPS_MAX) result.skips.push({ name: test.fullName, reason: note ?? 'no reason given' });
      }
      // A file that does not load, or a suite whose set-up fails, has no failed test of its own but is a failure.
      if (module.state() === 'failed' && (inside === 0 || result.failed === 0)) result.failed++;
    }
    writeFileSync(process.env.MILLRACE_TEST_RESULT, JSON.stringify(result));
  }
}
