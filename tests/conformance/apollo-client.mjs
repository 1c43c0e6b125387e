// Apollo Client 4: queries, pages, persisted queries, batches, and subscriptions by WebSocket and by multipart.

import { createHash } from 'node:crypto';

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { assert, run, url, wsUrl } from './suite.mjs';

const made = (link, cache = new InMemoryCache()) => new ApolloClient({ link, cache });
const sent = [];
const counting = (input, init) => {
  sent.push(JSON.parse(init.body ?? 'null'));
  return fetch(input, init);
};

const first = (observable, count) =>
  new Promise((resolve, reject) => {
    const found = [];
    const running = observable.subscribe({
      next: (answer) => {
        found.push(answer);
        if (found.length === count) {
          running.unsubscribe();
          resolve(found);
        }
      },
      error: reject,
      complete: () => resolve(found),
    });
  });

const CHANGED = gql`subscription { vehicleChanged { id name } }`;

await run('Apollo Client', {
  'a query is answered and normalised by id': async () => {
    const client = made(new HttpLink({ uri: url }));
    const { data } = await client.query({ query: gql`{ items(first: 2) { nodes { id number } } }` });
    assert.equal(data.items.nodes.length, 2);
    assert.ok(client.cache.extract()[`Item:${data.items.nodes[0].id}`]);
  },
  'fetchMore goes through all pages without a gap or a double': async () => {
    const cache = new InMemoryCache({ typePolicies: { Query: { fields: { vehicles: relayStylePagination() } } } });
    const query = gql`query ($after: String) { vehicles(first: 7, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage endCursor hasPreviousPage startCursor } } }`;
    const client = made(new HttpLink({ uri: url }), cache);
    const watched = client.watchQuery({ query });
    const running = watched.subscribe({ next() {} });
    await watched.refetch();
    let data = cache.readQuery({ query });
    for (let n = 0; n < 30 && data.vehicles.pageInfo.hasNextPage; n += 1) {
      await watched.fetchMore({ variables: { after: data.vehicles.pageInfo.endCursor } });
      data = cache.readQuery({ query });
    }
    running.unsubscribe();
    const ids = data.vehicles.edges.map((edge) => edge.node.id);
    const { data: whole } = await made(new HttpLink({ uri: url })).query({ query: gql`{ vehicles(first: 200) { nodes { id } } }` });
    assert.deepEqual([...ids].sort(), whole.vehicles.nodes.map((node) => node.id).sort());
    assert.equal(new Set(ids).size, ids.length);
  },
  'an error of the document reaches the caller with its code': async () => {
    await assert.rejects(
      () => made(new HttpLink({ uri: url })).query({ query: gql`{ nothing }` }),
      (error) => error.errors?.[0]?.extensions.code === 'GRAPHQL_VALIDATION_FAILED',
    );
  },
  'persisted queries are asked for once': async () => {
    const sha256 = (text) => createHash('sha256').update(text).digest('hex');
    const link = new PersistedQueryLink({ sha256 }).concat(new HttpLink({ uri: url, fetch: counting }));
    const client = made(link);
    sent.length = 0;
    const query = gql(`{ apq${Date.now()}: __typename }`);
    for (let n = 0; n < 2; n += 1) await client.query({ query, fetchPolicy: 'network-only' });
    assert.deepEqual(sent.map((body) => 'query' in body), [false, true, false]);
  },
  'persisted queries by GET': async () => {
    const sha256 = (text) => createHash('sha256').update(text).digest('hex');
    const link = new PersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(new HttpLink({ uri: url }));
    const { data } = await made(link).query({ query: gql`{ byGet: __typename }` });
    assert.equal(data.byGet, 'Query');
  },
  'operations of one moment are one batch': async () => {
    sent.length = 0;
    const client = made(new BatchHttpLink({ uri: url, fetch: counting, batchMax: 5, batchInterval: 20 }));
    const answers = await Promise.all([1, 2, 3].map((n) => client.query({ query: gql(`{ n${n}: __typename }`), fetchPolicy: 'network-only' })));
    assert.deepEqual(answers.map(({ data }) => Object.keys(data).filter((key) => key !== '__typename')), [['n1'], ['n2'], ['n3']]);
    assert.equal(sent.length, 1);
    assert.equal(sent[0].length, 3);
  },
  'a subscription over a WebSocket': async () => {
    const link = new GraphQLWsLink(createClient({ url: wsUrl, webSocketImpl: WebSocket }));
    const answers = await first(made(link).subscribe({ query: CHANGED }), 3);
    assert.equal(answers.length, 3);
    assert.ok(answers.every(({ data }) => data.vehicleChanged.id));
  },
  'a subscription as multipart, as Apollo Client does without a WebSocket': async () => {
    const answers = await first(made(ApolloLink.from([new HttpLink({ uri: url })])).subscribe({ query: CHANGED }), 3);
    assert.equal(answers.length, 3);
    assert.ok(answers.every(({ data }) => data.vehicleChanged.id));
  },
});
