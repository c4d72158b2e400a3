// The end of a program that a test runs: it says that it is ready; at the first word it waits until all is processed, prints what it has put out, and ends.

/** @param {import('millrace').App} app  @param {import('millrace').Topic<string, string>} out */
export async function endsOnWord(app, out) {
  await app.start();
  await app.waitFor('running');
  console.log('ready');
  process.stdin.once('data', async () => {
    await app.drained();
    const values = [];
    for await (const { value } of app.history(out)) values.push(value);
    console.log(values.join(' '));
    await app.close();
    process.exit(0);
  });
}
