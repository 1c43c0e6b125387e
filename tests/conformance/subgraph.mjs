// Apollo's subgraph compatibility tests: their own test files, unchanged, against their products schema that our server
// serves (products/). @apollo/composition and @apollo/gateway stand in for rover and the router, which are not on npm.

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { ApolloGateway } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { Trace } from '@apollo/usage-reporting-protobuf';
import { expect } from 'expect';

import { ask, assert, composed, freePort, python, run, start } from './suite.mjs';

const require = createRequire(import.meta.url);
const suite = dirname(require.resolve('@apollo/federation-subgraph-compatibility-tests/package.json'));
const other = async (name) => {
  const port = await freePort();
  const folder = join(suite, 'dist', 'subgraphs', name);
  await start(process.execPath, [join(folder, 'index.js')], /running|ready|http/i, { env: { [`${name.toUpperCase()}_PORT`]: port }, cwd: folder });
  return { name, url: `http://localhost:${port}`, sdl: readFileSync(join(folder, `${name}.graphql`), 'utf8') };
};

const [, products] = await python(['-m', 'tests.conformance.products'], /^ready (\S+)$/m);
const { data } = await ask('{ _service { sdl } }', {}, { to: products });
const subgraphs = [{ name: 'products', url: products, sdl: data._service.sdl }, await other('users'), await other('inventory')];
const server = new ApolloServer({ gateway: new ApolloGateway({ supergraphSdl: composed(subgraphs).supergraphSdl }) });
const { url } = await startStandaloneServer(server, { listen: { port: 0 } });

process.env.PRODUCTS_URL = products;
require(join(suite, 'dist', 'utils', 'client.js')).ROUTER_URL = url;

// What the test files expect of Jest
const checks = {};
const titles = [];
const test = (title, check) => (checks[[...titles, title].join(' ')] = check);
const describe = (title, define) => {
  titles.push(title);
  define();
  titles.pop();
};
Object.assign(globalThis, { expect, test, it: test, describe });
for (const file of readdirSync(join(suite, 'dist', 'tests')).sort()) {
  if (!file.endsWith('.test.js')) continue;
  const before = Object.keys(checks).length;
  require(join(suite, 'dist', 'tests', file));
  if (Object.keys(checks).length === before) checks[file] = () => Promise.reject(new Error('has no tests'));
}

checks["ftv1 is a trace as Apollo's gateways read it"] = async () => {
  const headers = { 'apollo-federation-include-trace': 'ftv1' };
  const { extensions } = await ask('{ p: product(id: "apollo-federation") { research { study { caseNumber } } } deprecatedProduct(sku: 4) { sku } }', {}, { to: products, headers });
  assert.equal(extensions, undefined); // it was not executed
  const answer = await ask('{ p: product(id: "apollo-federation") { research { study { caseNumber } } } }', {}, { to: products, headers });
  const trace = Trace.decode(Buffer.from(answer.extensions.ftv1, 'base64'));
  const [product] = trace.root.child;
  assert.deepEqual([product.responseName, product.originalFieldName, product.parentType, product.type], ['p', 'product', 'Query', 'Product']);
  const [research] = product.child;
  assert.deepEqual([research.responseName, research.type, research.child[0].index], ['research', '[ProductResearch!]!', 0]);
  assert.ok(research.startTime >= product.startTime && research.endTime <= trace.durationNs);
  assert.ok(trace.endTime.seconds >= trace.startTime.seconds && trace.startTime.seconds > 1_700_000_000);
};

const MAKER = { __typename: 'User', email: 'support@apollographql.com' };
const entities = (representations, selection) =>
  ask(`query ($r: [_Any!]!) { _entities(representations: $r) { ${selection} } }`, { r: representations }, { to: products });
checks['a bad representation spoils only its own place'] = async () => {
  const { data: found, errors } = await entities([MAKER, { __typename: 'Nothing' }, { __typename: 'User' }, 7, MAKER], '... on User { email }');
  const good = { email: MAKER.email };
  assert.deepEqual(found, { _entities: [good, null, null, null, good] });
  assert.deepEqual(errors.map((error) => [error.path, error.extensions.code]), [1, 2, 3].map((at) => [['_entities', at], 'BAD_USER_INPUT']));
};
checks['what fails unexpectedly is told without a word of it'] = async () => {
  const zero = { ...MAKER, totalProductsCreated: 5, yearsOfEmployment: 0 }; // divided by
  const { data: found, errors } = await entities([zero], '... on User { averageProductsCreatedPerYear }');
  assert.deepEqual(found, { _entities: [{ averageProductsCreatedPerYear: null }] });
  const [{ message, path, extensions }] = errors;
  assert.deepEqual([message, path, extensions.code], ['Internal error', ['_entities', 0, 'averageProductsCreatedPerYear'], 'INTERNAL_SERVER_ERROR']);
  assert.deepEqual(Object.keys(extensions).sort(), ['code', 'id']);
  assert.match(extensions.id, /^[0-9a-f]{32}$/);
};
await run('subgraph', checks);
