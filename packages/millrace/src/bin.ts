#!/usr/bin/env node
// The command `millrace` as an installed project has it: npx millrace check, describe, broker.
import { processDeps, runCli } from '@millrace/cli';

process.setSourceMapsEnabled(true); // messages point into the TypeScript
process.exitCode = await runCli(process.argv.slice(2), processDeps());
