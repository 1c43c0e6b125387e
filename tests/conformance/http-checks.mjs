// What graphql-http's audits leave out: q-values, pages of other sites, lengths, each limit at its bound and one beyond,
// documents by id, and a server that is closed (keys, trusted documents, no introspection).

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { deflateSync, gzipSync } from 'node:zlib';

import { assert, freePort, python, scratch, url } from './suite.mjs';

const JSON_TYPE = 'application/json';
const GRAPHQL = 'application/graphql-response+json';
const TYPENAME = { query: '{ __typename }' };

/** One answer; headers are sent as they are given, those that browsers keep for themselves, too; null is not sent. */
function send({ method = 'POST', to = url, headers = {}, body, chunked = false } = {}) {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const own = { accept: GRAPHQL };
  if (bytes !== undefined) Object.assign(own, { 'content-type': JSON_TYPE }, chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': bytes.length });
  const sent = Object.fromEntries(Object.entries({ ...own, ...headers }).filter(([, value]) => value !== null));
  return new Promise((resolve, reject) => {
    const asking = request(to, { method, headers: sent }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const type = (answer.headers['content-type'] ?? '').split(';')[0];
        const told = type.endsWith('json') ? JSON.parse(text) : undefined;
        resolve({ status: answer.statusCode, headers: answer.headers, type, text, told, code: told?.errors?.[0]?.extensions?.code });
      });
    });
    asking.on('error', reject);
    asking.end(bytes);
  });
}

const refused = (answer, status, code) => {
  assert.deepEqual([answer.status, answer.code], [status, code], answer.text.slice(0, 500));
  assert.ok(!('data' in answer.told));
};
const ask = (query, more = {}) => send({ body: { query, ...more } });
const got = (given, more = {}) => send({ method: 'GET', to: `${more.to ?? url}?${new URLSearchParams(given)}`, headers: more.headers });

const EVIL = { origin: 'https://evil.example' };
const noCors = (answer) => assert.deepEqual(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-')), []);

// --- limits

const many = (count, one) => Array.from({ length: count }, (_, n) => one(n)).join(' ');
const nested = (count, name = (n) => 'a') => many(count, (n) => `{ ${name(n)}`) + ' }'.repeat(count);
const doubling = (count) =>
  `{ systems { ...F0 } } ${many(count, (n) => `fragment F${n} on VendorSystem { ...F${n + 1} ...F${n + 1} }`)} fragment F${count} on VendorSystem { system }`;

/** By code: the limit, and a document that measures so much. Those at the bound need not be valid. */
const LIMITS = {
  CHARACTER_LIMIT: [100_000, (n) => `{ __typename } #${'x'.repeat(n - 16)}`],
  TOKEN_LIMIT: [4_000, (n) => `{ __typename(a: [${'1 '.repeat(n - 9)}]) }`],
  DEPTH_LIMIT: [16, (n) => nested(n)],
  INTROSPECTION_DEPTH_LIMIT: [20, (n) => nested(n, (at) => (at ? 'a' : '__type'))],
  ALIAS_LIMIT: [100, (n) => `{ systems { ${many(n, (at) => `a${at}: system`)} } }`],
  ROOT_FIELD_LIMIT: [20, (n) => `{ ${many(n, (at) => `a${at}: __typename`)} }`],
  FIELD_LIMIT: [1_500, (n) => `{ systems { ${many(n - 1, (at) => `f${at}`)} } }`],
};

// --- a closed server

const READER = 'reader-key-5b1f7c2d9a';
const OPERATOR = 'operator-key-c03e8a61f4';
const TRUSTED = {
  typename: '{ __typename }',
  introspection: '{ __schema { queryType { name } } }',
  service: '{ _service { sdl } }',
  misspelt: '{ vehicle { plates } }',
  filtered: 'query ($f: OrderFilter) { orders(filter: $f) { nodes { id } } }',
};

async function closedServer() {
  const folder = `${scratch}/trusted`;
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(TRUSTED)) writeFileSync(`${folder}/${name}.graphql`, text);
  const port = await freePort();
  const keys = `[[auth.api_keys]]\nname = "reader"\nkey = "${READER}"\n[[auth.api_keys]]\nname = "operator"\nscopes = ["metrics"]\nkey = "${OPERATOR}"\n`;
  writeFileSync(
    `${scratch}/closed.toml`,
    `[server]\nport = ${port}\nintrospection = false\n[store]\nurl = "sqlite:///closed.db"\n[documents]\nfolder = "trusted"\nonly_trusted = true\n${keys}`,
  );
  await python(['-m', 'server.cli', 'serve', '--config', `${scratch}/closed.toml`], /Crossdock is ready/);
  return `http://127.0.0.1:${port}`;
}

const closed = await closedServer();
const KEY = { 'x-api-key': READER };
const guarded = (body, headers = KEY) => send({ to: `${closed}/graphql`, body, headers });

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const persisted = (hash) => ({ persistedQuery: { version: 1, sha256Hash: hash } });

export const checks = {
  // --- what is wanted
  'Accept is read by q-value, then by how exact it is, then by order': async () => {
    const wanted = {
      [`${JSON_TYPE};q=0.1, ${GRAPHQL};q=0.9`]: GRAPHQL,
      [`${GRAPHQL};q=0.1, ${JSON_TYPE};q=0.9`]: JSON_TYPE,
      [`application/*;q=0.9, ${JSON_TYPE};q=0.1`]: GRAPHQL,
      [`*/*, ${JSON_TYPE};q=0`]: GRAPHQL,
      [`${GRAPHQL}, ${JSON_TYPE}`]: GRAPHQL,
      [`${JSON_TYPE}, ${GRAPHQL}`]: JSON_TYPE,
      [`${JSON_TYPE};q=0.4, text/event-stream;q=0.6`]: 'text/event-stream',
      [`${JSON_TYPE};q=0.6, text/event-stream;q=0.4`]: JSON_TYPE,
      [`multipart/mixed;q=0.9, text/event-stream;q=0.8`]: 'multipart/mixed',
    };
    for (const [accept, type] of Object.entries(wanted)) assert.equal((await send({ body: TYPENAME, headers: { accept } })).type, type, accept);
  },
  'without Accept the answer is application/json': async () => {
    // fetch, with which the audits ask, always sends one
    for (const accept of [null, '', '*/*']) assert.equal((await send({ body: TYPENAME, headers: { accept } })).type, JSON_TYPE);
  },
  'what cannot be given is refused with 406': async () => {
    for (const accept of ['text/html', `${JSON_TYPE};q=0`, `${GRAPHQL};q=nonsense`]) refused(await send({ body: TYPENAME, headers: { accept } }), 406, 'NOT_ACCEPTABLE');
    refused(await ask('subscription { vehicleChanged { id } }'), 406, 'NOT_ACCEPTABLE');
  },

  // --- who asks from where
  'a page of another site is refused by its origin, without any word of CORS': async () => {
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1@evil.example']) {
      const answer = await send({ body: TYPENAME, headers: { origin } });
      refused(answer, 403, 'ORIGIN_NOT_ALLOWED');
      noCors(answer);
    }
    const preflight = await send({ method: 'OPTIONS', headers: { ...EVIL, 'access-control-request-method': 'POST' } });
    refused(preflight, 403, 'ORIGIN_NOT_ALLOWED');
    noCors(preflight);
  },
  'what a browser sends for another site by itself is refused': async () => {
    for (const site of ['cross-site', 'same-site']) refused(await got(TYPENAME, { headers: { 'sec-fetch-site': site } }), 403, 'ORIGIN_NOT_ALLOWED');
    assert.equal((await got(TYPENAME, { headers: { 'sec-fetch-site': 'same-origin' } })).status, 200);
  },
  'what a form can send is not taken': async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      refused(await send({ body: TYPENAME, headers: { 'content-type': type } }), 415, 'UNSUPPORTED_MEDIA_TYPE');
  },
  'under a name that is not of this machine nothing is answered': async () => {
    refused(await send({ body: TYPENAME, headers: { host: 'rebound.example' } }), 421, 'MISDIRECTED_REQUEST');
  },

  // --- lengths
  'a body of 1 MiB is taken, one byte more is not, said before or not': async () => {
    const whole = Buffer.alloc(1 << 20, ' ');
    whole.write(JSON.stringify(TYPENAME));
    for (const chunked of [false, true]) {
      assert.equal((await send({ body: whole, chunked })).status, 200);
      refused(await send({ body: Buffer.concat([whole, Buffer.from(' ')]), chunked }), 413, 'PAYLOAD_TOO_LARGE');
    }
  },
  'a body is as long as it is unpacked': async () => {
    const [small, large] = [1 << 20, 10 << 20].map((size) => Buffer.from(JSON.stringify(TYPENAME).padEnd(size)));
    for (const [coding, pack] of [['gzip', gzipSync], ['deflate', deflateSync]]) {
      const headers = { 'content-encoding': coding };
      assert.equal((await send({ body: pack(small), headers })).status, 200);
      refused(await send({ body: pack(large), headers }), 413, 'PAYLOAD_TOO_LARGE');
      refused(await send({ body: pack(small).subarray(0, -6), headers }), 400, 'BAD_REQUEST');
    }
  },
  'a batch of ten is taken, of eleven not': async () => {
    const answer = await send({ body: Array(10).fill(TYPENAME) });
    assert.deepEqual([answer.status, answer.told], [200, Array(10).fill({ data: { __typename: 'Query' } })]);
    refused(await send({ body: Array(11).fill(TYPENAME) }), 400, 'BATCH_LIMIT');
  },

  // --- documents
  ...Object.fromEntries(
    Object.entries(LIMITS).map(([code, [limit, document]]) => [
      `${code}: ${limit} are taken, one more is not`,
      async () => {
        assert.notEqual((await ask(document(limit))).code, code);
        const answer = await ask(document(limit + 1));
        refused(answer, 400, code);
        assert.deepEqual(answer.told.errors[0].extensions, { code, limit, found: limit + 1 });
      },
    ]),
  ),
  'fragments that double are counted as what they become': async () => {
    refused(await ask(doubling(30)), 400, 'FIELD_LIMIT');
    refused(await ask(`{ ...A ...A } fragment A on Query { ${many(11, (n) => `a${n}: __typename`)} }`), 400, 'ROOT_FIELD_LIMIT');
  },
  'fields that meet at one place are counted by pairs': async () => {
    const same = (count) => `{ systems { ${'system '.repeat(count)} } }`;
    assert.equal((await ask(same(141))).status, 200);
    const answer = await ask(same(142));
    refused(answer, 400, 'OVERLAP_LIMIT');
    assert.deepEqual(answer.told.errors[0].extensions, { code: 'OVERLAP_LIMIT', limit: 10_000, found: 10_011 });
  },
  'what may cost more than it may is not begun': async () => {
    const dear = (first) => `{ orders(first: ${first}) { nodes { ${many(20, (n) => `l${n}: lines { item { inventory { available { value } } } }`)} } } }`;
    assert.equal((await ask(dear(1))).status, 200);
    const answer = await ask(dear(200));
    refused(answer, 400, 'COST_LIMIT');
    const { limit, found } = answer.told.errors[0].extensions;
    assert.equal(limit, 500_000);
    assert.ok(found > limit && found < 10 * limit, `${found}`);
  },
  'at most fifty errors are told': async () => {
    const { told } = await ask(`{ systems { ${many(80, (n) => `f${n}`)} } }`);
    assert.equal(told.errors.length, 51);
  },
  'a thousand representations are taken, one more is not': async () => {
    const query = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Order { id } } }';
    const some = (count) => ask(query, { variables: { r: Array(count).fill({ __typename: 'Order', id: 'x' }) } });
    assert.notEqual((await some(1_000)).code, 'REPRESENTATION_LIMIT');
    const answer = await some(1_001);
    assert.deepEqual(answer.told.errors[0].extensions, { code: 'REPRESENTATION_LIMIT', limit: 1_000, found: 1_001 });
  },
  'one of several operations has to be named': async () => {
    const query = 'query A { a: __typename } query B { b: __typename }';
    refused(await ask(query), 400, 'OPERATION_RESOLUTION_FAILURE');
    refused(await ask(query, { operationName: 'C' }), 400, 'OPERATION_RESOLUTION_FAILURE');
    assert.deepEqual((await ask(query, { operationName: 'B' })).told, { data: { b: 'Query' } });
  },

  // --- documents by id
  'a document is kept under its own hash only, and only when it is valid': async () => {
    const query = `{ own${Date.now()}: __typename }`;
    refused(await ask(query, { extensions: persisted(sha256('{ other: __typename }')) }), 400, 'BAD_REQUEST');
    refused(await send({ body: { extensions: persisted(sha256('{ other: __typename }')) } }), 400, 'PERSISTED_QUERY_NOT_FOUND');
    refused(await ask('{ nothing }', { extensions: persisted(sha256('{ nothing }')) }), 400, 'GRAPHQL_VALIDATION_FAILED');
    refused(await send({ body: { extensions: persisted(sha256('{ nothing }')) } }), 400, 'PERSISTED_QUERY_NOT_FOUND');
    refused(await send({ body: { documentId: 'nothing' } }), 400, 'DOCUMENT_NOT_FOUND');
  },
  'only a GET of a document by id may be kept, by the caller alone': async () => {
    const extensions = persisted(sha256(TYPENAME.query));
    assert.equal((await ask(TYPENAME.query, { extensions })).headers['cache-control'], 'no-store');
    assert.equal((await got(TYPENAME)).headers['cache-control'], 'no-store');
    const kept = await got({ extensions: JSON.stringify(extensions) });
    assert.deepEqual([kept.status, kept.headers['cache-control']], [200, 'private, max-age=5']);
    for (const name of ['Accept', 'Authorization', 'X-API-Key']) assert.ok(kept.headers.vary.split(', ').includes(name), name);
    assert.equal((await got({ extensions: JSON.stringify(persisted('0'.repeat(64))) })).headers['cache-control'], 'no-store');
  },

  // --- the closed server
  'nobody, a wrong key and a key without the scope are refused': async () => {
    const body = { documentId: 'typename' };
    assert.equal((await guarded(body)).status, 200);
    refused(await guarded(body, {}), 401, 'UNAUTHENTICATED');
    refused(await guarded(body, { 'x-api-key': `${READER}0` }), 401, 'UNAUTHENTICATED');
    refused(await guarded(body, { 'x-api-key': OPERATOR }), 403, 'FORBIDDEN');
    refused(await guarded({ ...body, extensions: { crossdock: { explain: true } } }), 403, 'FORBIDDEN');
  },
  'only documents that were registered are answered': async () => {
    assert.deepEqual((await guarded({ documentId: 'typename' })).told, { data: { __typename: 'Query' } });
    assert.deepEqual((await guarded(TYPENAME)).told, { data: { __typename: 'Query' } });
    const other = '{ other: __typename }';
    refused(await guarded({ query: other }), 400, 'DOCUMENT_NOT_TRUSTED');
    refused(await guarded({ query: other, extensions: persisted(sha256(other)) }), 400, 'DOCUMENT_NOT_TRUSTED');
    refused(await guarded({ extensions: persisted(sha256(other)) }), 400, 'PERSISTED_QUERY_NOT_SUPPORTED');
  },
  'the schema is not given away': async () => {
    for (const documentId of ['introspection', 'service']) refused(await guarded({ documentId }), 400, 'GRAPHQL_VALIDATION_FAILED');
    assert.equal((await send({ method: 'GET', to: `${closed}/schema.graphql`, headers: KEY })).status, 404);
  },
  'errors suggest no names': async () => {
    const misspelt = await guarded({ documentId: 'misspelt' });
    refused(misspelt, 400, 'GRAPHQL_VALIDATION_FAILED');
    const filtered = await guarded({ documentId: 'filtered', variables: { f: { kindz: [] } } });
    refused(filtered, 400, 'BAD_USER_INPUT');
    for (const { text } of [misspelt, filtered]) assert.doesNotMatch(text, /did you mean/i);
    const open = await ask(TRUSTED.misspelt);
    assert.match(open.text, /did you mean/i, 'or this check shows nothing');
  },
};
