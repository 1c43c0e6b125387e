// relay-runtime: what relay-compiler made is executed, paged through, refetched and kept in Relay's normalised store.

import { createClient } from 'graphql-ws';
import relay from 'relay-runtime';
import WebSocket from 'ws';

import { compiled } from './relay.mjs';
import { ask, assert, run, wsUrl } from './suite.mjs';

const { Environment, Network, Observable, RecordSource, Store, createOperationDescriptor, fetchQuery, getRequest, getSelector, requestSubscription } = relay;
const made = compiled('runtime');
assert.equal(made.status, 0, made.said);
const document = (name) => made.artifact(name);

function environment() {
  const socket = createClient({ url: wsUrl, webSocketImpl: WebSocket });
  let sent = 0;
  const send = (params, variables) => {
    sent += 1;
    return ask(params.text, variables);
  };
  const subscribe = ({ text, name }, variables) =>
    Observable.create((sink) => socket.subscribe({ query: text, operationName: name, variables }, sink));
  const env = new Environment({ network: Network.create(send, subscribe), store: new Store(new RecordSource()) });
  return Object.assign(env, { sent: () => sent });
}

/** Executes a query, keeps its data, gives its operation. */
async function execute(env, name, variables) {
  const operation = createOperationDescriptor(getRequest(document(name)), variables);
  env.retain(operation);
  await fetchQuery(env, document(name), variables).toPromise();
  return operation;
}

/** A fragment of what was read, as the hooks read it. */
const read = (env, name, reference) => env.lookup(getSelector(document(name), reference)).data;
const orders = (env, operation) => read(env, 'Orders_list', env.lookup(operation.fragment).data).orders;

const vehicles = async (env) => {
  const operation = await execute(env, 'VehiclesQuery', {});
  return env.lookup(operation.fragment).data.vehicles.nodes;
};

const FILTER = { kinds: ['INBOUND_DELIVERY'] };

await run('relay-runtime', {
  'a query is executed, its fragments are read': async () => {
    const env = environment();
    const page = orders(env, await execute(env, 'OrdersQuery', { count: 5 }));
    assert.equal(page.edges.length, 5);
    for (const { node } of page.edges) assert.equal(typeof read(env, 'Orders_row', node).number, 'string');
  },
  'pages are joined to one list': async () => {
    const env = environment();
    const operation = await execute(env, 'OrdersQuery', { count: 5 });
    for (let pages = 2; pages <= 4; pages += 1) {
      const { pageInfo } = orders(env, operation);
      assert.equal(pageInfo.hasNextPage, true);
      await execute(env, 'OrdersPaginationQuery', { count: 5, cursor: pageInfo.endCursor });
      assert.equal(orders(env, operation).edges.length, 5 * pages);
    }
    const { edges } = orders(env, operation);
    assert.equal(new Set(edges.map((edge) => edge.node.id)).size, 20);
    const numbers = edges.map((edge) => read(env, 'Orders_row', edge.node).number.replace(/^0+/, ''));
    const { data } = await ask('{ orders(first: 20, orderBy: [{ field: NUMBER }]) { nodes { number } } }');
    assert.deepEqual(numbers, data.orders.nodes.map((node) => node.number.replace(/^0+/, '')));
  },
  'the last page is the last': async () => {
    const env = environment();
    const operation = await execute(env, 'OrdersQuery', { count: 40, filter: FILTER });
    for (let page = orders(env, operation); page.pageInfo.hasNextPage; page = orders(env, operation)) {
      const before = page.edges.length;
      await execute(env, 'OrdersPaginationQuery', { count: 40, cursor: page.pageInfo.endCursor, filter: FILTER });
      assert.ok(orders(env, operation).edges.length > before || !orders(env, operation).pageInfo.hasNextPage);
    }
    const { edges, totalCount } = orders(env, operation);
    assert.equal(new Set(edges.map((edge) => edge.node.id)).size, edges.length);
    if (totalCount !== null) assert.equal(edges.length, totalCount);
  },
  'another filter is another list': async () => {
    const env = environment();
    const all = await execute(env, 'OrdersQuery', { count: 3 });
    const some = await execute(env, 'OrdersQuery', { count: 4, filter: FILTER });
    assert.deepEqual([orders(env, all).edges.length, orders(env, some).edges.length], [3, 4]);
  },
  'an object that two queries show is one record': async () => {
    const env = environment();
    const [{ id }] = (await vehicles(env)).filter((each) => read(env, 'Vehicles_card', each).plate === 'KJA 152 CA');
    const operation = await execute(env, 'OrdersQuery', { count: 100 });
    const carried = orders(env, operation).edges.map(({ node }) => env.getStore().getSource().get(node.id).vehicle?.__ref);
    assert.ok(carried.includes(id));
    const kept = env.getStore().getSource().getRecordIDs().filter((key) => env.getStore().getSource().get(key)?.plate === 'KJA 152 CA');
    assert.deepEqual(kept, [id]);
  },
  'an object is refetched by its id, and whoever shows it sees it': async () => {
    const env = environment();
    const [vehicle] = await vehicles(env);
    const selector = getSelector(document('Vehicles_card'), vehicle);
    env.commitUpdate((store) => store.get(vehicle.id).setValue('stale', 'name'));
    assert.equal(env.lookup(selector).data.name, 'stale');
    const seen = new Promise((resolve) => env.subscribe(env.lookup(selector), (snapshot) => resolve(snapshot.data.name)));
    await execute(env, 'VehiclesCardRefetchQuery', { id: vehicle.id });
    assert.notEqual(await seen, 'stale');
    assert.equal(env.sent(), 2);
  },
  'any object by node(id:), with what an interface shares': async () => {
    const env = environment();
    const { data } = await ask('{ items(first: 1, sources: ["plm"], filter: { types: [ASSEMBLY] }) { nodes { id number } } }');
    const [{ id, number }] = data.items.nodes;
    const operation = await execute(env, 'AnythingQuery', { id });
    const { node } = env.lookup(operation.fragment).data;
    assert.deepEqual([node.__typename, node.number], ['Item', number]);
    assert.ok(node.bom.lines.length > 0);
    const sourced = read(env, 'Anything_source', node.sourced);
    assert.equal(sourced.source.integration, 'plm');
    assert.ok(sourced.sameAs.length > 0);
    const before = sourced.source.asOf;
    await execute(env, 'AnythingSourceRefetchQuery', { id });
    assert.ok(read(env, 'Anything_source', node.sourced).source.asOf >= before);
  },
  'a subscription updates the records that are shown': async () => {
    const env = environment();
    const rows = await vehicles(env);
    const before = new Map(rows.map((each) => [each.id, read(env, 'Vehicles_card', each).position?.recordedAt]));
    const changed = await new Promise((resolve, reject) => {
      const running = requestSubscription(env, {
        subscription: document('VehiclesSubscription'),
        variables: {},
        onError: reject,
        onNext: () => {
          const moved = rows.find((each) => read(env, 'Vehicles_card', each).position?.recordedAt > before.get(each.id));
          if (moved) {
            running.dispose();
            resolve(moved);
          }
        },
      });
    });
    assert.ok(before.has(changed.id));
  },
  'an error of a field is kept beside its null': async () => {
    const env = environment();
    const operation = await execute(env, 'AnythingQuery', { id: 'nonsense' });
    const { data, fieldErrors } = env.lookup(operation.fragment);
    assert.equal(data.node, null);
    assert.deepEqual(fieldErrors.map(({ error }) => error.extensions.code), ['BAD_USER_INPUT']);
  },
  'a document that is refused is an error': async () => {
    const wrong = { ...document('VehiclesQuery'), params: { ...document('VehiclesQuery').params, text: '{ nothing }', cacheID: 'wrong' } };
    await assert.rejects(() => fetchQuery(environment(), wrong, {}).toPromise(), /Cannot query field 'nothing' on type 'Query'/);
  },
});
