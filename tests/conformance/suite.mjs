// A suite: named checks, each with a limit of time; its last line is its count.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';

import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';

export { assert };
export const address = process.argv[2] ?? 'http://127.0.0.1:8000';
export const url = `${address}/graphql`;
export const wsUrl = url.replace(/^http/, 'ws');
export const scratch = process.env.SCRATCH ?? '.';
export const root = new URL('../../', import.meta.url).pathname;
export const schemaFile = `${root}schema.graphql`;

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
  for (const child of children) child.kill('SIGKILL');
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

/** One whole answer of a GraphQL endpoint. */
export async function ask(query, variables = {}, { to = url, headers = {} } = {}) {
  const answer = await fetch(to, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query, variables }) });
  return answer.json();
}

// --- other programs

const children = [];

export const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

/** Starts a program and waits for what it says when it is ready; gives the match. It ends with the suite. */
export function start(command, args, ready, { env = {}, cwd = root, seconds = 30 } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let said = '';
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${command} ${args} is not ready after ${seconds} s:\n${said}`)), seconds * 1000);
    const hear = (data) => {
      said += data;
      const match = ready.exec(said);
      if (match) {
        clearTimeout(late);
        resolve(match);
      }
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', (code) => reject(new Error(`${command} ${args} ended with ${code}:\n${said}`)));
  });
}

export const python = (args, ready, more = {}) => start(process.env.PYTHON ?? 'python', args, ready, more);

// --- federation

/** A supergraph of subgraphs `{ name, url, sdl }`. Throws what Apollo's composition has against them. */
export function composed(subgraphs) {
  const services = subgraphs.map(({ name, url: at, sdl }) => ({ name, url: at, typeDefs: parse(sdl) }));
  const { supergraphSdl, hints, errors } = composeServices(services);
  if (errors?.length) throw new Error(`composition failed:\n${errors.map((error) => error.message).join('\n')}`);
  return { supergraphSdl, hints };
}
