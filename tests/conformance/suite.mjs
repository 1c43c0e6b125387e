// A suite: named checks, each with a limit of time; its last line is its count.

import assert from 'node:assert/strict';

export { assert };
export const address = process.argv[2] ?? 'http://127.0.0.1:8000';
export const url = `${address}/graphql`;
export const wsUrl = url.replace(/^http/, 'ws');

export async function run(name, checks, seconds = 20) {
  let passed = 0;
  let failed = 0;
  for (const [title, check] of Object.entries(checks)) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
    });
    try {
      await Promise.race([check(), late]);
      passed += 1;
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${title}: ${error.stack ?? error}`);
    } finally {
      clearTimeout(timer);
    }
  }
  console.log(`${name}: ${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

export async function take(events, count) {
  const found = [];
  for await (const event of events) {
    found.push(event);
    if (found.length === count) break;
  }
  return found;
}
