// What simulate() rejects with: which seed, what was wrong, and the report up to there.
import type { SimulationReport } from './simulate.ts';

export class SimulationFailed extends Error {
  override readonly name = 'SimulationFailed';
  readonly seed: number;
  readonly report: SimulationReport;

  constructor(report: SimulationReport, cause: unknown) {
    super(`seed ${report.seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.seed = report.seed;
    this.report = report;
  }
}
