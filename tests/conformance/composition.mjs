// Apollo's and The Guild's composition over the schema that the server tells: alone, with the second subgraph of
// docs/federation.md, and as a contract without personal data.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { composeServices as guild, composeSchemaContract, transformSupergraphToPublicSchema } from '@theguild/federation-composition';
import { buildASTSchema, parse, print } from 'graphql';

import { bothSubgraphs, written } from './federation.mjs';
import { assert, composed, run, schemaFile } from './suite.mjs';

const [crossdock, carriers] = await bothSubgraphs();
const services = (...subgraphs) => subgraphs.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) }));
const shown = (supergraphSdl) => buildASTSchema(transformSupergraphToPublicSchema(parse(supergraphSdl)), { assumeValid: true });

function byApollo(...subgraphs) {
  const { supergraphSdl, hints } = composed(subgraphs);
  const told = hints.map((hint) => `${hint.definition.level.name} ${hint.definition.code}: ${hint.message}`);
  assert.deepEqual(told, []); // not even hints of level INFO
  return supergraphSdl;
}

function byGuild(...subgraphs) {
  const { supergraphSdl, errors } = guild(services(...subgraphs));
  assert.deepEqual(errors?.map((error) => error.message) ?? [], []);
  return supergraphSdl;
}

const entities = (schema) => Object.values(schema.getTypeMap()).filter((type) => type.getInterfaces?.().some((each) => each.name === 'Node') && type.constructor.name === 'GraphQLObjectType');

function whole(supergraphSdl) {
  const schema = shown(supergraphSdl);
  assert.equal(entities(schema).length, 20);
  assert.ok(schema.getSubscriptionType().getFields().vehicleChanged);
  for (const name of ['_entities', '_service']) assert.equal(schema.getQueryType().getFields()[name], undefined);
  return schema;
}

function joined(supergraphSdl) {
  const schema = whole(supergraphSdl);
  assert.equal(String(schema.getType('Vehicle').getFields().carrier.type), 'Carrier');
  assert.equal(String(schema.getType('Order').getFields().haulage.type), 'Carrier');
  assert.equal(String(schema.getType('Item').getFields().tariffCode.type), 'String!');
  assert.equal(String(schema.getType('Carrier').getFields().dayRate.type), 'Money!');
  assert.match(print(schema.getType('Money').astNode), /amount: Decimal!/);
}

const version = (sdl) => Number(/federation\/v2\.(\d+)/.exec(sdl)[1]);

await run('composition', {
  'the schema is of version 2.9 or lower': () => assert.ok(version(crossdock.sdl) <= 9),
  'what the server tells is schema.graphql': () => assert.equal(crossdock.sdl.trim(), readFileSync(schemaFile, 'utf8').trim()),
  'Apollo composes it alone, without a hint': () => whole(byApollo(crossdock)),
  'The Guild composes it alone': () => whole(byGuild(crossdock)),
  'Apollo composes it with carriers, without a hint': () => joined(byApollo(crossdock, carriers)),
  'The Guild composes it with carriers': () => joined(byGuild(crossdock, carriers)),
  'both make the same schema for clients': () => {
    const [one, other] = [byApollo(crossdock, carriers), byGuild(crossdock, carriers)].map((sdl) => shown(sdl).getTypeMap());
    assert.deepEqual(Object.keys(one).sort(), Object.keys(other).sort());
    for (const [name, type] of Object.entries(one)) {
      const fields = (each) => Object.entries(each.getFields?.() ?? {}).map(([key, field]) => `${key}: ${field.type}`).sort();
      assert.deepEqual(fields(type), fields(other[name]), name);
    }
  },
  'a contract without personal data has none': () => {
    const filter = { include: new Set(), exclude: new Set(['personal-data']) };
    const { publicSdl, errors } = composeSchemaContract(services(crossdock, carriers), filter, true);
    assert.equal(errors, undefined);
    const schema = buildASTSchema(parse(publicSdl));
    assert.equal(schema.getType('Driver'), undefined);
    const booking = schema.getType('Booking').getFields();
    for (const name of ['guestName', 'guestPhone', 'driver']) assert.equal(booking[name], undefined);
    assert.ok(booking.vehiclePlate);
  },
  'the page composes as it stands there': () => {
    const done = spawnSync(process.execPath, [written('compose.mjs')], { cwd: process.env.SCRATCH, encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
    joined(readFileSync(`${process.env.SCRATCH}/supergraph.graphql`, 'utf8'));
  },
  'the page names both subgraphs to rover': () => {
    const config = readFileSync(written('supergraph.yaml'), 'utf8');
    for (const { name, url } of [crossdock, carriers]) assert.match(config, new RegExp(`  ${name}:\n    routing_url: ${url}\n    schema:\n      subgraph_url: ${url}\n`));
    assert.match(config, /^federation_version: =2\.9\.\d+$/m);
  },
});
