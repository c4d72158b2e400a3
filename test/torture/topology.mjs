// The topology under torture, out of parts (MILLRACE_TORTURE_PARTS names them; workers inherit the environment).
import { topology } from 'millrace';
import { partsOf } from './parts.mjs';

export default topology('torture', (t) => {
  for (const part of partsOf(process.env.MILLRACE_TORTURE_PARTS?.split(','))) part.build(t);
});
