// How the page talks to the graph: POST for queries and mutations, WebSocket or SSE for subscriptions.

import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { Kind, parse } from 'graphql';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';

import { transport } from './transport.jsx';

const URL_HTTP = new URL('/graphql', location.href).href;
const URL_WS = URL_HTTP.replace(/^http/, 'ws');

/** Fetch that explains an answer the clients could not decode, e.g. a proxy's HTML page. */
function fetchAs(...types) {
  return async (url, init) => {
    const response = await fetch(url, init);
    const type = (response.headers.get('content-type') ?? '').split(';', 1)[0].trim();
    if (types.includes(type)) return response;
    const body = (await response.text()).slice(0, 2000).trim();
    const status = `HTTP ${response.status} ${response.statusText}`.trim();
    throw new Error(`${status}, ${type || 'no content type'}: ${body || '(empty)'}`);
  };
}

const JSON_TYPES = ['application/graphql-response+json', 'application/json'];

const single = createGraphiQLFetcher({
  url: URL_HTTP,
  fetch: fetchAs(...JSON_TYPES),
  enableIncrementalDelivery: false,
});
const incremental = createGraphiQLFetcher({
  url: URL_HTTP,
  fetch: fetchAs(...JSON_TYPES, 'multipart/mixed'),
});

/** A client lives for one subscription, so it always carries what the headers editor says now. */
const CLIENTS = {
  ws: (headers) =>
    createWsClient({ url: URL_WS, connectionParams: headers, retryAttempts: 0 }),
  sse: (headers) =>
    createSseClient({
      url: URL_HTTP,
      headers,
      singleConnection: false,
      retryAttempts: 0,
      fetchFn: fetchAs('text/event-stream'),
    }),
};

function subscription(params, headers) {
  return {
    subscribe(observer) {
      const client = CLIENTS[transport.get()](headers);
      const unsubscribe = client.subscribe(params, {
        next: (result) => observer.next(result),
        error: (reason) => observer.error(readable(reason)),
        complete: () => observer.complete(),
      });
      return { unsubscribe };
    },
  };
}

/** GraphiQL prints an Error with its stack and a CloseEvent as `{isTrusted: true}`. */
function readable(reason) {
  if (Array.isArray(reason)) return reason;
  if (typeof reason?.code === 'number' && 'wasClean' in reason)
    return { message: `WebSocket closed: ${reason.code} ${reason.reason}`.trim() };
  if (reason instanceof Event) return { message: `No WebSocket connection to ${URL_WS}` };
  return { message: reason?.message ?? String(reason) };
}

/**
 * The operation that is meant, and the request for it.
 *
 * GraphiQL notices a moment late that the tab has changed, and still names the last tab's operation.
 */
function meant(params) {
  let operations;
  try {
    operations = parse(params.query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  } catch {
    return { params }; // the server's syntax error says more than ours
  }
  const named = operations.find(({ name }) => name?.value === params.operationName);
  const operation = named ?? (operations.length === 1 ? operations[0] : undefined);
  if (!operation) return { params };
  return {
    kind: operation.operation,
    params: { ...params, operationName: operation.name?.value },
  };
}

async function* plainErrors(parts) {
  try {
    yield* parts;
  } catch (error) {
    throw readable(error);
  }
}

export async function fetcher(asked, options = {}) {
  const { kind, params } = meant(asked);
  if (kind === 'subscription') return subscription(params, options.headers);
  try {
    if (/@(defer|stream)\b/.test(params.query))
      return plainErrors(await incremental(params, options));
    return await single(params, options);
  } catch (error) {
    throw readable(error);
  }
}
