// The reference client of graphql-sse in its distinct connections mode, and the bytes of streams, multipart ones too.

import { createClient } from 'graphql-sse';

import { assert, run, take, url } from './suite.mjs';

const client = (more = {}) => createClient({ url, retryAttempts: 0, ...more });
const EVENTS = { Accept: 'text/event-stream', 'Content-Type': 'application/json' };
const post = (body, headers = EVENTS) => fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });

await run('graphql-sse', {
  'a query has one answer and ends': async () => {
    assert.deepEqual(await take(client().iterate({ query: '{ __typename }' }), 5), [{ data: { __typename: 'Query' } }]);
  },
  'a subscription goes on': async () => {
    const answers = await take(client().iterate({ query: 'subscription { vehicleChanged { id name } }' }), 3);
    assert.equal(answers.length, 3);
  },
  'a fault in the document is one answer with errors': async () => {
    const answers = await take(client().iterate({ query: '{ nothing }' }), 5);
    assert.equal(answers.length, 1);
    assert.equal(answers[0].errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    assert.ok(!('data' in answers[0]));
  },
  'variables that do not fit are one answer with errors': async () => {
    const answers = await take(client().iterate({ query: 'query ($i: ID!) { node(id: $i) { id } }' }), 5);
    assert.equal(answers[0].errors[0].extensions.code, 'BAD_USER_INPUT');
  },
  'ten streams run side by side': async () => {
    const one = client();
    const all = await Promise.all(Array.from({ length: 10 }, (_, n) => take(one.iterate({ query: `{ a${n}: __typename }` }), 1)));
    all.forEach((answers, n) => assert.deepEqual(answers, [{ data: { [`a${n}`]: 'Query' } }]));
  },
  'frames end in line feeds only': async () => {
    const response = await post({ query: '{ __typename }' });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    assert.equal(await response.text(), 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata: \n\n');
  },
  'parts of a multipart answer are told apart as RFC 2046 writes them': async () => {
    const response = await post({ query: '{ __typename }' }, { ...EVENTS, Accept: 'multipart/mixed;subscriptionSpec=1.0' });
    assert.equal(response.headers.get('content-type'), 'multipart/mixed; boundary="graphql"; subscriptionSpec="1.0"');
    const part = '\r\n--graphql\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"__typename":"Query"}}}';
    assert.equal(await response.text(), `${part}\r\n--graphql--\r\n`);
  },
  'a stream may be got': async () => {
    const response = await fetch(`${url}?query=${encodeURIComponent('{ __typename }')}`, { headers: { Accept: 'text/event-stream' } });
    assert.match(await response.text(), /event: next\ndata: \{"data":\{"__typename":"Query"\}\}/);
  },
  'a body that is no request is refused as JSON': async () => {
    for (const body of [null, 42, 'x', {}, { query: 1 }, { query: '{ __typename }', variables: [] }]) {
      const response = await post(body);
      assert.equal(response.status, 400);
      assert.match(response.headers.get('content-type'), /^application\/json/);
      assert.equal((await response.json()).errors[0].extensions.code, 'BAD_REQUEST');
    }
  },
  'a client that goes away ends its stream': async () => {
    const open = async () => Number(/crossdock_subscriptions(?:_open)?(?:\{[^}]*\})? (\d+)/.exec(await (await fetch(`${url.replace(/graphql$/, '')}metrics`)).text())?.[1] ?? NaN);
    const before = await open();
    const gone = new AbortController();
    const response = await fetch(url, { method: 'POST', headers: EVENTS, signal: gone.signal, body: JSON.stringify({ query: 'subscription { missionChanged(filter: { ids: ["x"] }) { id } }' }) });
    assert.equal(await open(), before + 1);
    gone.abort();
    for (let n = 0; n < 40 && (await open()) !== before; n += 1) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await open(), before);
  },
});
