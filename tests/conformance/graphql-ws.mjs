// The reference client of graphql-transport-ws, and messages that no client would send.

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { address, assert, run, take, wsUrl } from './suite.mjs';

const client = (more = {}) => createClient({ url: wsUrl, webSocketImpl: WebSocket, retryAttempts: 0, ...more });
const PROTOCOL = 'graphql-transport-ws';

function raw(protocols = PROTOCOL) {
  const socket = new WebSocket(wsUrl, protocols);
  const waiting = [];
  const came = [];
  const next = (item) => (waiting.length ? waiting.shift()(item) : came.push(item));
  socket.on('message', (data) => next({ message: JSON.parse(data) }));
  socket.on('close', (code, reason) => next({ code, reason: reason.toString() }));
  socket.on('error', () => {});
  return {
    socket,
    opened: new Promise((resolve) => socket.on('open', resolve)),
    send: (message) => socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message)),
    next: () => (came.length ? Promise.resolve(came.shift()) : new Promise((resolve) => waiting.push(resolve))),
  };
}

async function initialised() {
  const peer = raw();
  await peer.opened;
  peer.send({ type: 'connection_init' });
  assert.deepEqual(await peer.next(), { message: { type: 'connection_ack' } });
  return peer;
}

const closes = (message, code, reason) => async () => {
  const peer = await initialised();
  peer.send(message);
  const end = await peer.next();
  assert.equal(end.code, code);
  if (reason) assert.match(end.reason, reason);
};

const subscribe = (id, query, more = {}) => ({ id, type: 'subscribe', payload: { query, ...more } });
const deep = '['.repeat(20_000);

const malformed = {
  'no JSON': 'x', 'an empty message': '', null: 'null', 'a number': '42', 'a string': '"x"', 'an array': '[]',
  'no type': '{}', 'a type that is null': '{"type":null}', 'a type that is a number': '{"type":1}',
  'an unknown type': '{"type":"start","id":"1","payload":{}}', 'deep JSON': deep,
  'deep JSON in a payload': `{"type":"ping","payload":${deep}`,
  'subscribe without id': '{"type":"subscribe","payload":{"query":"{ __typename }"}}',
  'an id that is a number': '{"type":"subscribe","id":1,"payload":{"query":"{ __typename }"}}',
  'an id that is an object': '{"type":"subscribe","id":{},"payload":{"query":"{ __typename }"}}',
  'an empty id': '{"type":"subscribe","id":"","payload":{"query":"{ __typename }"}}',
  'an id of a megabyte': `{"type":"subscribe","id":"${'x'.repeat(500_000)}","payload":{"query":"{ __typename }"}}`,
  'no payload': '{"type":"subscribe","id":"1"}', 'a payload that is null': '{"type":"subscribe","id":"1","payload":null}',
  'a payload that is an array': '{"type":"subscribe","id":"1","payload":[]}',
  'no query': '{"type":"subscribe","id":"1","payload":{}}', 'a query that is a number': '{"type":"subscribe","id":"1","payload":{"query":1}}',
  'variables that are an array': '{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","variables":[]}}',
  'an operationName that is a number': '{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","operationName":1}}',
  'extensions that are a string': '{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","extensions":"x"}}',
  'complete without id': '{"type":"complete"}', 'a ping with a string': '{"type":"ping","payload":"x"}',
  'a pong with an array': '{"type":"pong","payload":[]}', 'a lone surrogate': '{"type":"\\ud800"}',
};

const checks = {
  'a query has one answer and ends': async () => {
    const answers = await take(client().iterate({ query: '{ __typename }' }), 5);
    assert.deepEqual(answers, [{ data: { __typename: 'Query' } }]);
  },
  'a subscription goes on until it is ended': async () => {
    const answers = await take(client().iterate({ query: 'subscription { vehicleChanged { id name } }' }), 3);
    assert.equal(answers.length, 3);
    for (const answer of answers) assert.ok(answer.data.vehicleChanged.id);
  },
  'variables and names arrive': async () => {
    const query = 'query A($s: Boolean!) { a: __typename @skip(if: $s) } query B { b: __typename }';
    const [answer] = await take(client().iterate({ query, operationName: 'A', variables: { s: false } }), 1);
    assert.deepEqual(answer, { data: { a: 'Query' } });
  },
  'a fault in the document is an error of the operation, and the socket lives on': async () => {
    const one = client({ lazy: false });
    await assert.rejects(() => take(one.iterate({ query: '{ nothing }' }), 1), (errors) => {
      assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
      return true;
    });
    await assert.rejects(() => take(one.iterate({ query: '{' }), 1), (errors) => errors[0].extensions.code === 'GRAPHQL_PARSE_FAILED');
    assert.deepEqual(await take(one.iterate({ query: '{ __typename }' }), 1), [{ data: { __typename: 'Query' } }]);
  },
  'an unknown operation name is an error of the operation': async () => {
    await assert.rejects(
      () => take(client().iterate({ query: 'query A { __typename }', operationName: 'B' }), 1),
      (errors) => errors[0].extensions.code === 'OPERATION_RESOLUTION_FAILURE',
    );
  },
  'variables that do not fit are an error of the operation': async () => {
    await assert.rejects(
      () => take(client().iterate({ query: 'query ($i: ID!) { node(id: $i) { id } }' }), 1),
      (errors) => errors[0].extensions.code === 'BAD_USER_INPUT',
    );
  },
  'twenty operations share a socket': async () => {
    const one = client({ lazy: false });
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => take(one.iterate({ query: `{ a${n}: __typename }` }), 1)));
    all.forEach((answers, n) => assert.deepEqual(answers, [{ data: { [`a${n}`]: 'Query' } }]));
  },
  'an id can be used again once its operation has ended': async () => {
    const peer = await initialised();
    for (let n = 0; n < 3; n += 1) {
      peer.send(subscribe('1', '{ __typename }'));
      assert.equal((await peer.next()).message.type, 'next');
      assert.deepEqual(await peer.next(), { message: { type: 'complete', id: '1' } });
    }
    peer.socket.close();
  },
  'a completed subscription says no more': async () => {
    const peer = await initialised();
    peer.send(subscribe('1', 'subscription { vehicleChanged { id } }'));
    assert.equal((await peer.next()).message.type, 'next');
    peer.send({ type: 'complete', id: '1' });
    peer.send({ type: 'ping', payload: { mark: 1 } });
    for (;;) {
      const { message } = await peer.next();
      if (message.type === 'pong') break;
    }
    await new Promise((resolve) => setTimeout(resolve, 1500));
    peer.send({ type: 'ping', payload: { mark: 2 } });
    assert.deepEqual(await peer.next(), { message: { type: 'pong', payload: { mark: 2 } } });
    peer.socket.close();
  },
  'ping is answered with its payload, pong with nothing': async () => {
    const peer = raw();
    await peer.opened;
    peer.send({ type: 'ping' });
    assert.deepEqual(await peer.next(), { message: { type: 'pong' } });
    peer.send({ type: 'pong', payload: { x: 1 } });
    peer.send({ type: 'ping', payload: { x: 1 } });
    assert.deepEqual(await peer.next(), { message: { type: 'pong', payload: { x: 1 } } });
    peer.socket.close();
  },
  'subscribe before connection_init closes with 4401': async () => {
    const peer = raw();
    await peer.opened;
    peer.send(subscribe('1', '{ __typename }'));
    assert.deepEqual(await peer.next(), { code: 4401, reason: 'Unauthorized' });
  },
  'a second connection_init closes with 4429': closes({ type: 'connection_init' }, 4429, /Too many initialisation requests/),
  'an id in use closes with 4409': async () => {
    const peer = await initialised();
    peer.send(subscribe('1', 'subscription { vehicleChanged { id } }'));
    peer.send(subscribe('1', '{ __typename }'));
    for (;;) {
      const end = await peer.next();
      if (end.code) {
        assert.deepEqual(end, { code: 4409, reason: 'Subscriber for 1 already exists' });
        break;
      }
    }
  },
  'no subprotocol closes with 4406': async () => {
    const peer = raw([]);
    assert.deepEqual(await peer.next(), { code: 4406, reason: 'Subprotocol not acceptable' });
  },
  'bytes close with 4400': async () => {
    const peer = await initialised();
    peer.send(Buffer.from('{"type":"ping"}'));
    assert.equal((await peer.next()).code, 4400);
  },
  'a page of another origin is closed with 4403': async () => {
    const socket = new WebSocket(wsUrl, PROTOCOL, { origin: 'https://evil.example' });
    const code = await new Promise((resolve) => socket.on('close', resolve));
    assert.equal(code, 4403);
  },
  'a payload of connection_init that is no object closes with 4400': async () => {
    const peer = raw();
    await peer.opened;
    peer.send({ type: 'connection_init', payload: 'x' });
    assert.equal((await peer.next()).code, 4400);
  },
  'a connection_init that does not come closes with 4408': async () => {
    const peer = raw();
    assert.deepEqual(await peer.next(), { code: 4408, reason: 'Connection initialisation timeout' });
  },
  'the hundred and first operation of a socket is refused, and the others go on': async () => {
    const peer = await initialised();
    for (let n = 0; n <= 100; n += 1) peer.send(subscribe(`s${n}`, 'subscription { missionChanged(filter: { ids: ["x"] }) { id } }'));
    const { message } = await peer.next();
    assert.equal(message.type, 'error');
    assert.equal(message.id, 's100');
    assert.deepEqual(message.payload[0].extensions, { code: 'SUBSCRIPTION_LIMIT', limit: 100, found: 101 });
    peer.socket.close();
  },
  'the two hundred and first subscription of a caller is refused, on whatever socket': async () => {
    const open = async () => Number(/crossdock_subscriptions_open (\d+)/.exec(await (await fetch(`${address}/metrics`)).text())[1]);
    const until = async (count) => {
      for (let n = 0; n < 100 && (await open()) !== count; n += 1) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(await open(), count);
    };
    await until(0); // those of the checks before have ended
    const silent = 'subscription { missionChanged(filter: { ids: ["x"] }) { id } }';
    const peers = [await initialised(), await initialised(), await initialised()];
    for (const peer of peers.slice(0, 2)) for (let n = 0; n < 100; n += 1) peer.send(subscribe(`s${n}`, silent));
    await until(200);
    peers[2].send(subscribe('one', silent));
    const { message } = await peers[2].next();
    assert.deepEqual([message.type, message.id, message.payload[0].extensions.code], ['error', 'one', 'SUBSCRIPTION_LIMIT']);
    for (const peer of peers) peer.socket.close();
    await until(0);
  },
  'a message of 1 MiB is read, a longer one closes': async () => {
    const peer = await initialised();
    peer.send('{"type":"ping"}'.padEnd(1 << 20));
    assert.deepEqual(await peer.next(), { message: { type: 'pong' } });
    peer.send('{"type":"ping"}'.padEnd((1 << 20) + 1));
    assert.ok([1009, 4400].includes((await peer.next()).code));
  },
};
for (const [title, message] of Object.entries(malformed)) checks[`${title} closes with 4400`] = closes(message, 4400);

await run('graphql-ws', checks);
