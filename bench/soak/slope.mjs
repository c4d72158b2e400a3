// Is a series of samples level? A straight line through the means of blocks, so that neighbouring samples, which are alike, do not count as many;
// the noise is what the block means keep beside the line.
// Owns: the arithmetic.  Never: knows what was sampled.

const BLOCKS = 24;
/** Student's t, 95 %, two-sided, for 22 degrees of freedom. */
const T95 = 2.074;

/** `samples`: one a second. Returns figures in the unit of the samples, the slope per hour. */
export function fitSlope(samples) {
  const size = Math.floor(samples.length / BLOCKS);
  if (size < 1) throw new Error(`${samples.length} samples are too few for a slope`);
  const points = Array.from({ length: BLOCKS }, (_, block) => {
    const part = samples.slice(block * size, (block + 1) * size);
    return { hours: ((block + 0.5) * size) / 3600, value: part.reduce((sum, each) => sum + each, 0) / part.length };
  });
  const mean = (pick) => points.reduce((sum, point) => sum + pick(point), 0) / BLOCKS;
  const [hours, level] = [mean((point) => point.hours), mean((point) => point.value)];
  const spread = points.reduce((sum, point) => sum + (point.hours - hours) ** 2, 0);
  const perHour = points.reduce((sum, point) => sum + (point.hours - hours) * (point.value - level), 0) / spread;
  const left = points.reduce((sum, point) => sum + (point.value - level - perHour * (point.hours - hours)) ** 2, 0);
  const noisePerHour = T95 * Math.sqrt(left / (BLOCKS - 2) / spread);
  return { level, perHour, noisePerHour, lowest: Math.min(...samples), highest: Math.max(...samples) };
}
