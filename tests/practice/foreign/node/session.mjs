// What the scripts beside this one share: what they are told, and a person who signs in for them.
import { createInterface } from "node:readline";

export const told = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Have a person sign in at a page; returns the address that the browser is sent to. */
export async function signIn(page, code = "") {
  console.log(JSON.stringify({ page: String(page), code }));
  return (await lines.next()).value;
}

/** Report a result to the test. */
export function report(name, value) {
  console.log(JSON.stringify({ name, value }));
}

/** End, with the input closed. */
export function end() {
  process.exit(0);
}
