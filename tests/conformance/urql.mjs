// urql: queries, errors, and subscriptions over HTTP and over a WebSocket.

import { Client, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { assert, run, url, wsUrl } from './suite.mjs';

const http = (more = {}) => new Client({ url, exchanges: [fetchExchange], requestPolicy: 'network-only', preferGetMethod: false, ...more });
const CHANGED = gql`subscription { vehicleChanged { id name } }`;

const first = (client, query, count) =>
  new Promise((resolve, reject) => {
    const found = [];
    const running = client.subscription(query, {}).subscribe((answer) => {
      if (answer.error) reject(answer.error);
      found.push(answer.data);
      if (found.length === count) {
        setTimeout(() => running.unsubscribe());
        resolve(found);
      }
    });
  });

await run('urql', {
  'a query is answered although its Accept names event streams': async () => {
    const { data, error } = await http().query(gql`{ items(first: 2) { nodes { id number } } }`, {}).toPromise();
    assert.equal(error, undefined);
    assert.equal(data.items.nodes.length, 2);
  },
  'a query by GET': async () => {
    const { data } = await http({ preferGetMethod: 'force' }).query(gql`{ __typename }`, {}).toPromise();
    assert.equal(data.__typename, 'Query');
  },
  'variables': async () => {
    const { data } = await http().query(gql`query ($n: Int!) { items(first: $n) { nodes { id } } }`, { n: 3 }).toPromise();
    assert.equal(data.items.nodes.length, 3);
  },
  'an error of the document': async () => {
    const { error } = await http().query(gql`{ nothing }`, {}).toPromise();
    assert.equal(error.graphQLErrors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
  },
  'a subscription over HTTP': async () => {
    const answers = await first(http({ fetchSubscriptions: true }), CHANGED, 3);
    assert.ok(answers.every((data) => data.vehicleChanged.id));
  },
  'a subscription over a WebSocket': async () => {
    const socket = createClient({ url: wsUrl, webSocketImpl: WebSocket });
    const forwarding = subscriptionExchange({
      forwardSubscription: (request) => ({ subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink) }) }),
    });
    const answers = await first(new Client({ url, exchanges: [forwarding, fetchExchange], preferGetMethod: false }), CHANGED, 3);
    assert.ok(answers.every((data) => data.vehicleChanged.id));
  },
});
