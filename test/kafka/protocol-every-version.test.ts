// Apache Kafka answers every version of every API as the codec expects. The embedded broker goes through the same suite in npm test.
import { everyVersionSuite } from './every-version.ts';

everyVersionSuite(() => Promise.resolve(process.env.MILLRACE_TEST_KAFKA as string));
