// The command line: finds the command, runs it, and turns what goes wrong into one paragraph and an exit code.
// Exit codes: 0 done, 1 failed, 2 the command line was not understood.
import { explainError } from '@millrace/core';
import { type CliDeps, type Command, DONE, FAILED, isExplained, USAGE, UsageError } from './command.ts';
import { brokerCommand } from './commands/broker.ts';
import { checkCommand } from './commands/check.ts';
import { describeCommand } from './commands/describe.ts';
import { dlqCommand } from './commands/dlq.ts';
import { resetCommand } from './commands/reset.ts';

const COMMANDS: readonly Command[] = [brokerCommand, describeCommand, checkCommand, dlqCommand, resetCommand];

const OVERVIEW = `Example: millrace broker --port 9092 --data-dir ./broker-data

Commands:
${COMMANDS.map((command) => `  ${command.name.padEnd(10)} ${command.summary}`).join('\n')}

millrace COMMAND --help says more.`;

/** Runs one command line (without `node` and the script). Resolves with the exit code; never rejects for a user's mistake. */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  const [name, ...args] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    deps.printLine(OVERVIEW);
    return name === undefined ? USAGE : DONE;
  }
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) {
    deps.printError(`There is no command "${name}". The commands are ${COMMANDS.map((one) => one.name).join(', ')}; millrace --help says more.`);
    return USAGE;
  }
  if (args.includes('--help') || args.includes('-h')) {
    deps.printLine(command.help);
    return DONE;
  }
  try {
    return await command.run(args, deps);
  } catch (error) {
    if (error instanceof UsageError) {
      deps.printError(`${error.message} millrace ${command.name} --help shows an example.`);
      return USAGE;
    }
    deps.printError(
      isExplained(error)
        ? explainError(error)
        : `This is a defect of Millrace, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return FAILED;
  }
}
