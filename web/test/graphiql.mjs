// Uses GraphiQL in a real browser, the way a person would: node test/graphiql.mjs BASE_URL
//
// SCREENSHOT_DIR   where to put a picture of each step (none are taken without it)
// CHROMIUM         the browser, /usr/bin/chromium by default
// CROSSDOCK_TOKEN  a bearer token that the graph asks for, typed into the headers editor

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

const [base] = process.argv.slice(2);
if (!base) {
  console.error('usage: node test/graphiql.mjs BASE_URL');
  process.exit(2);
}
const HOST = new URL(base).host;
const TOKEN = process.env.CROSSDOCK_TOKEN;
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const profile = await mkdtemp(join(tmpdir(), 'graphiql-profile-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
  viewport: { width: 1440, height: 900 },
  colorScheme: 'light',
});
browser.setDefaultTimeout(20_000);

const requests = []; // every request of the page and its workers
const sockets = []; // { url, sent, received } of every WebSocket
const complaints = []; // uncaught errors, and what the Content-Security-Policy refused
browser.on('request', (request) => requests.push(request));

const page = await browser.newPage();
page.on('websocket', (socket) => {
  const record = { url: socket.url(), sent: [], received: [] };
  socket.on('framesent', ({ payload }) => record.sent.push(JSON.parse(payload)));
  socket.on('framereceived', ({ payload }) => record.received.push(JSON.parse(payload)));
  sockets.push(record);
});
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('console', (message) => {
  if (/content security policy/i.test(message.text())) complaints.push(message.text());
});

// What the page says, read as its user reads it or, where Monaco draws only a part, from its models.

const editor = (name) =>
  page.evaluate(
    (suffix) =>
      globalThis.__MONACO.editor
        .getModels()
        .find((model) => model.uri.path.endsWith(suffix))
        .getValue(),
    name,
  );
const query = () => editor('operation.graphql');
const response = async () => JSON.parse((await editor('response.json')) || 'null');
const visibleResponse = () => page.locator('.graphiql-response .view-lines').innerText();
const tabs = () => page.locator('.graphiql-tab .graphiql-tab-button');
const executeButton = () => page.locator('.graphiql-execute-button');

async function until(what, condition, timeout = 20_000) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) assert.fail(`waited ${timeout / 1000} s in vain for ${what}`);
    await page.waitForTimeout(50);
  }
}

async function open() {
  await page.goto(new URL('/graphiql', base).href);
  for (const pane of ['query-editor', 'response'])
    await page.locator(`.graphiql-${pane} .view-lines`).waitFor();
}

async function setEditor(name, text) {
  await page.evaluate(
    ([suffix, value]) =>
      globalThis.__MONACO.editor
        .getModels()
        .find((model) => model.uri.path.endsWith(suffix))
        .setValue(value),
    [name, text],
  );
}

const setHeaders = (headers) =>
  setEditor('request-headers.json', JSON.stringify(headers, null, 2));

async function openSubscriptionTab() {
  for (let index = 0; index < (await tabs().count()); index += 1) {
    await tabs().nth(index).click();
    if (/^\s*subscription\b/m.test(await query())) return;
  }
  assert.fail('no example tab holds a subscription');
}

/** Runs the open tab's subscription until `count` results have reached the response pane. */
async function watch(count) {
  await page.evaluate(() => {
    const models = globalThis.__MONACO.editor.getModels();
    const shown = models.find((model) => model.uri.path.endsWith('response.json'));
    globalThis.shownEvents = [];
    globalThis.stopWatching?.dispose();
    globalThis.stopWatching = shown.onDidChangeContent(() => {
      if (shown.getValue()) globalThis.shownEvents.push(JSON.parse(shown.getValue()));
    });
  });
  await executeButton().click();
  const shown = await until(`${count} events`, async () => {
    const events = await page.evaluate(() => globalThis.shownEvents);
    for (const event of events) assert.equal(event.errors, undefined, JSON.stringify(event.errors));
    return events.length >= count && events;
  }, 60_000);
  for (const event of shown) assert.ok(event.data, JSON.stringify(event));
  assert.match(await visibleResponse(), /"data"/);
}

async function stop() {
  await executeButton().click();
  await page.waitForTimeout(200);
}

async function picture(name) {
  const folder = process.env.SCREENSHOT_DIR;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `graphiql-${name}.png`) });
}

const steps = {
  'opens with the example tabs, by name': async () => {
    await open();
    assert.equal(await page.title(), 'Crossdock');
    const titles = await tabs().allInnerTexts();
    assert.ok(titles.length >= 2, `tabs: ${titles}`);
    for (const title of titles) assert.doesNotMatch(title, /^$|untitled/);
    const comment = /^#\s*(.*)/.exec(await query())[1].trim();
    assert.ok(comment.startsWith(titles[0].replace(/…$/, '')), `${titles[0]}: ${comment}`);
    if (TOKEN) await setHeaders({ Authorization: `Bearer ${TOKEN}` });
  },

  'colours the query': async () => {
    const spans = page.locator('.graphiql-query-editor .view-line span span');
    await until('at least three colours', async () => {
      const colours = await spans.evaluateAll((all) => all.map((span) => getComputedStyle(span).color));
      return new Set(colours).size >= 3;
    });
  },

  'runs the first tab': async () => {
    await executeButton().click();
    const result = await until('a response', response);
    assert.equal(result.errors, undefined, JSON.stringify(result.errors));
    assert.ok(result.data, JSON.stringify(result));
    assert.match(await visibleResponse(), /"data"/);
    await page.waitForTimeout(300);
    await picture('query');
  },

  'marks a field that the schema has not': async () => {
    const example = await query();
    await setEditor('operation.graphql', '{ noSuchField }');
    const marker = await until('a marker', () =>
      page.evaluate(() => globalThis.__MONACO.editor.getModelMarkers({})[0]?.message),
    );
    assert.match(marker, /Cannot query field "noSuchField"/);
    await setEditor('operation.graphql', example);
  },

  'prettifies': async () => {
    const example = await query();
    await setEditor('operation.graphql', '{__typename}');
    await page.getByLabel('Prettify query').click();
    await until('a prettier query', async () => (await query()).trim() === '{\n  __typename\n}');
    await setEditor('operation.graphql', example);
  },

  'shows the schema in the docs': async () => {
    await page.getByLabel('Show Documentation Explorer').click();
    await page.locator('.graphiql-doc-explorer').getByText('Query', { exact: true }).click();
    await page.locator('.graphiql-doc-explorer').getByText('vehicles', { exact: true }).waitFor();
    await picture('docs');
  },

  'lists vehicles in the explorer': async () => {
    await page.getByLabel('Show GraphiQL Explorer').click();
    await page.locator('.graphiql-explorer-root').getByText('vehicles', { exact: true }).waitFor();
    await picture('explorer');
    await page.getByLabel('Hide GraphiQL Explorer').click();
    assert.equal(await page.locator('.graphiql-explorer-root').count(), 0);
  },

  'shows subscription events over WebSocket': async () => {
    await openSubscriptionTab();
    await watch(3);
    await picture('subscription');
    await stop();
    assert.equal(sockets.length, 1);
    assert.equal(new URL(sockets[0].url).pathname, '/graphql');
  },

  'shows subscription events over SSE': async () => {
    await page.getByRole('button', { name: 'SSE' }).click();
    await watch(3);
    await picture('subscription-sse');
    await stop();
    assert.equal(sockets.length, 1, 'no second WebSocket');
    const last = requests.at(-1);
    assert.equal(last.method(), 'POST');
    assert.equal((await last.allHeaders()).accept, 'text/event-stream');
    await page.getByRole('button', { name: 'WebSocket' }).click();
  },

  'sends the Authorization header in connection_init': async () => {
    const authorization = 'Bearer from-the-headers-editor';
    await setHeaders({ Authorization: authorization });
    await executeButton().click();
    const socket = await until('a second WebSocket', () => sockets[1]?.sent.length && sockets[1]);
    assert.deepEqual(socket.sent[0], {
      type: 'connection_init',
      payload: { Authorization: authorization },
    });
    await until('an answer', () => editor('response.json'));
    await stop();
    await setHeaders({});
  },

  'keeps the tabs over a reload': async () => {
    await page.getByLabel('New tab').click();
    await page.locator('.graphiql-query-editor textarea, .graphiql-query-editor .native-edit-context').first().focus();
    await page.keyboard.insertText('# My own tab\n{ __typename }');
    await until('the new title', async () => (await tabs().allInnerTexts()).includes('My own tab'));
    const titles = await tabs().allInnerTexts();
    await page.waitForTimeout(800); // GraphiQL stores its tabs half a second after the last change
    await open();
    assert.deepEqual(await tabs().allInnerTexts(), titles);
    assert.equal(await query(), '# My own tab\n{ __typename }');
  },

  'turns dark': async () => {
    await page.getByLabel('Open settings dialog').click();
    await page.getByRole('button', { name: 'Dark' }).click();
    await page.keyboard.press('Escape');
    await tabs().first().click();
    await page.waitForTimeout(500);
    assert.equal(await page.locator('body.graphiql-dark').count(), 1);
    await picture('dark');
  },

  'asks no other host': async () => {
    const urls = [...requests.map((request) => request.url()), ...sockets.map(({ url }) => url)];
    const foreign = urls.filter((url) => {
      const { protocol, host, origin } = new URL(url);
      return protocol !== 'data:' && (protocol === 'blob:' ? new URL(origin).host : host) !== HOST;
    });
    assert.deepEqual(foreign, []);
    assert.ok(urls.some((url) => /worker/.test(url)), 'worker requests are recorded too');
  },

  'breaks no rule of its Content-Security-Policy': () => assert.deepEqual(complaints, []),

  'could not ask another host': async () => {
    const refused = await page.evaluate(async () => {
      const violation = new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', resolve, { once: true });
      });
      new Image().src = 'https://other-host.invalid/image.png';
      return (await violation).effectiveDirective;
    });
    assert.equal(refused, 'img-src');
  },
};

let passed = 0;
let failed = 0;
try {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
      passed += 1;
      console.log(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.message}`);
      await picture(`failed-${failed}`).catch(() => {});
    }
  }
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
console.log(`graphiql: ${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
