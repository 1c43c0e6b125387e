// Relay's compiler over the documents in relay/, with our schema.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { root, schemaFile, scratch } from './suite.mjs';

const require = createRequire(import.meta.url);
const binary = require('relay-compiler');

/** Compiles into a folder of its own; gives what the compiler said, and its artifacts. */
export function compiled(name, { src = `${root}tests/conformance/relay`, args = [], ...more } = {}) {
  const folder = `${scratch}/${name}`;
  if (!args.length) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const config = { src, schema: schemaFile, language: 'javascript', eagerEsModules: false, artifactDirectory: folder, ...more };
  writeFileSync(`${scratch}/${name}.config.json`, JSON.stringify(config));
  const done = spawnSync(binary, [...args, `${scratch}/${name}.config.json`], { cwd: scratch, encoding: 'utf8' });
  const files = readdirSync(folder).sort();
  const artifact = (each) => require(`${folder}/${each}.graphql.js`);
  return { status: done.status, said: done.stdout + done.stderr, files, artifact };
}
