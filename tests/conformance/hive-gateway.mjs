// Hive Gateway in front of Crossdock and the second subgraph, with the configuration of docs/federation.md:
// subscriptions reach Crossdock by WebSocket, and by server-sent events without that configuration.
// Its engine is run (@graphql-hive/gateway-runtime); the command around it would bring 400 MB of other things.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { createClient } from 'graphql-sse';

import { bothSubgraphs, gatewayChecks, guarded, spoiled, whoAsks, written } from './federation.mjs';
import { address, assert, run, take } from './suite.mjs';

const subgraphs = await bothSubgraphs(spoiled);
const { gatewayConfig } = await import(pathToFileURL(written('gateway.config.mjs')));

async function gateway(config, over = subgraphs) {
  const { supergraphSdl, errors } = composeServices(over.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) })));
  assert.equal(errors, undefined);
  const runtime = createGatewayRuntime({ ...config, supergraph: supergraphSdl, logging: false, maskedErrors: false });
  const server = createServer(runtime);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${server.address().port}/graphql`;
}

const bySocket = await gateway(gatewayConfig);
const byEvents = await gateway({ ...gatewayConfig, transportEntries: undefined });

const client = (to) => createClient({ url: to, fetchFn: fetch, retryAttempts: 0 });
const open = async () => Number(/crossdock_subscriptions_open (\d+)/.exec(await (await fetch(`${address}/metrics`)).text())[1]);

const subscriptions = (to) => ({
  'a subscription': async () => {
    const answers = await take(client(to).iterate({ query: 'subscription { vehicleChanged(sources: ["fleet"]) { id plate } }' }), 3);
    for (const { data, errors: told } of answers) {
      assert.equal(told, undefined, JSON.stringify(told));
      assert.ok(data.vehicleChanged.id);
    }
  },
  'a subscription whose events are joined with the other subgraph': async () => {
    const query = 'subscription ($f: VehicleFilter) { vehicleChanged(filter: $f) { plate carrier { name } } }';
    const [answer] = await take(client(to).iterate({ query, variables: { f: { plate: 'KJA152CA' } } }), 1);
    assert.deepEqual(answer, { data: { vehicleChanged: { plate: 'KJA 152 CA', carrier: { name: 'Lekki Freight' } } } });
  },
  'a subscription that is refused says why': async () => {
    const answers = await take(client(to).iterate({ query: 'subscription { vehicleChanged(sources: ["nobody"]) { id } }' }), 1);
    assert.equal(answers[0].errors[0].extensions.code, 'BAD_USER_INPUT');
  },
  'a subscription that is ended is ended at Crossdock': async () => {
    const before = await open();
    const events = client(to).iterate({ query: 'subscription { vehicleChanged { id } }' });
    await events.next();
    assert.equal(await open(), before + 1);
    await events.return();
    for (let n = 0; n < 100 && (await open()) !== before; n += 1) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await open(), before);
  },
});

const { subgraph, authorization } = await guarded();
const strict = await gateway(gatewayConfig, [subgraph]);
const checks = { ...gatewayChecks(bySocket), ...whoAsks(strict, authorization) };
checks['who subscribes is told to Crossdock, too'] = async () => {
  const follow = (headers) => createClient({ url: strict, fetchFn: fetch, retryAttempts: 0, headers }).iterate({ query: 'subscription { vehicleChanged { id } }' });
  const taken = follow({ authorization }).next().then(() => 'something came', (error) => error);
  assert.equal(await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 1500, 'open'))]), 'open');
  const refused = await follow({}).next().then(({ value }) => value, (error) => error);
  assert.ok(refused instanceof Error || refused.errors?.length > 0, JSON.stringify(refused));
};
for (const [way, to] of [['by WebSocket', bySocket], ['by server-sent events', byEvents]])
  for (const [title, check] of Object.entries(subscriptions(to))) checks[`${title} (${way})`] = check;
await run('hive-gateway', checks);
