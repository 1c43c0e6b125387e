// relay-compiler: connections, refetchable fragments and persisted documents compile with our schema as it is.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { buildClientSchema, getIntrospectionQuery, parse, validate } from 'graphql';

import { compiled } from './relay.mjs';
import { ask, assert, freePort, python, run, scratch } from './suite.mjs';

const ARTIFACTS = [
  'AnythingQuery', 'AnythingSourceRefetchQuery', 'Anything_source', 'OrdersPaginationQuery', 'OrdersQuery', 'Orders_list', 'Orders_row',
  'VehiclesCardRefetchQuery', 'VehiclesQuery', 'VehiclesSubscription', 'Vehicles_card',
];
const OPERATIONS = ARTIFACTS.filter((name) => !name.includes('_'));
const plain = compiled('plain');

await run('relay-compiler', {
  'the documents compile, without a warning': () => {
    assert.equal(plain.status, 0, plain.said);
    assert.doesNotMatch(plain.said, /WARN|ERROR/);
    assert.deepEqual(plain.files, ARTIFACTS.map((name) => `${name}.graphql.js`));
  },
  'what it made is up to date at once': () => {
    const again = compiled('plain', { args: ['--validate'] });
    assert.equal(again.status, 0, again.said);
  },
  'the lists are connections of its kind': () => {
    const [{ count, cursor, direction, path }] = plain.artifact('Orders_list').metadata.connection;
    assert.deepEqual([count, cursor, direction, path], ['count', 'cursor', 'forward', ['orders']]);
    assert.match(plain.artifact('OrdersPaginationQuery').params.text, /pageInfo \{\s+endCursor\s+hasNextPage\s+\}/);
  },
  'objects are refetched by node(id:)': () => {
    for (const name of ['VehiclesCardRefetchQuery', 'AnythingSourceRefetchQuery']) assert.match(plain.artifact(name).params.text, /node\(id: \$id\)/);
    assert.deepEqual(plain.artifact('Vehicles_card').metadata.refetch.identifierInfo, { identifierField: 'id', identifierQueryVariableName: 'id' });
  },
  'all that is sent is valid for the running server': async () => {
    const schema = buildClientSchema((await ask(getIntrospectionQuery())).data);
    for (const name of OPERATIONS) assert.deepEqual(validate(schema, parse(plain.artifact(name).params.text)), [], name);
  },
  'documents that it persists are answered by their ids, and no others': async () => {
    const documents = `${scratch}/documents`;
    mkdirSync(documents, { recursive: true });
    writeFileSync(`${documents}/persisted_queries.json`, '{}');
    const made = compiled('persisted', { persistConfig: { file: `${documents}/persisted_queries.json`, algorithm: 'SHA256' } });
    assert.equal(made.status, 0, made.said);
    assert.equal(Object.keys(JSON.parse(readFileSync(`${documents}/persisted_queries.json`, 'utf8'))).length, OPERATIONS.length);
    const port = await freePort();
    writeFileSync(`${scratch}/trusted.toml`, `[server]\nport = ${port}\n[documents]\nfolder = "documents"\nonly_trusted = true\n[store]\nurl = "sqlite:///trusted.db"\n`);
    await python(['-m', 'server.cli', 'serve', '--config', `${scratch}/trusted.toml`], /Crossdock is ready/);
    const send = async (body) => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(`http://127.0.0.1:${port}/graphql`, { method: 'POST', headers, body: JSON.stringify(body) })).json();
    };
    const { id, text } = made.artifact('OrdersQuery').params;
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.equal(text, null);
    const { data, errors } = await send({ documentId: id, variables: { count: 3 } });
    assert.deepEqual([data.orders.edges, errors], [[], undefined]);
    const refused = await send({ query: '{ __typename }' });
    assert.equal(refused.errors[0].extensions.code, 'DOCUMENT_NOT_TRUSTED');
  },
  'a field that is not there is found': () => {
    const src = `${scratch}/wrong`;
    mkdirSync(src, { recursive: true });
    writeFileSync(`${src}/Wrong.js`, 'graphql`query WrongQuery { orders(first: 1) { nodes { nothing } } }`;\n');
    const { status, said } = compiled('wrong-artifacts', { src });
    assert.notEqual(status, 0);
    assert.match(said, /`Order` has no field `nothing`/);
  },
});
