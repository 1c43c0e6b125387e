// The example of docs/federation.md, as it stands there: its files, its second subgraph, its supergraph.

import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

import { address, ask, assert, freePort, python, root, scratch, url } from './suite.mjs';

const page = readFileSync(`${root}docs/federation.md`, 'utf8');
const port = await freePort();
const carriers = `http://127.0.0.1:${port}`;

/** A file of the page, with the addresses of this run. */
export function example(name) {
  const fence = new RegExp(`^\`\`\`\\w+ ${name.replaceAll('.', '\\.')}\\n([^]*?)^\`\`\`$`, 'm').exec(page);
  if (!fence) throw new Error(`docs/federation.md has no ${name}`);
  return fence[1].replaceAll('http://127.0.0.1:8000', address).replaceAll('http://127.0.0.1:4002', carriers);
}

/** Writes it where Node finds our packages; gives its path. */
export function written(name) {
  writeFileSync(`${scratch}/${name}`, example(name));
  return `${scratch}/${name}`;
}

/** Starts the second subgraph; gives both as `{ name, url, sdl }`. */
export async function bothSubgraphs(change = (text) => text) {
  writeFileSync(written('carriers.py'), change(example('carriers.py')));
  await python(['-m', 'uvicorn', 'carriers:app', '--port', String(port)], /Uvicorn running/, { cwd: scratch });
  const sdl = async (to) => (await ask('{ _service { sdl } }', {}, { to })).data._service.sdl;
  return [
    { name: 'crossdock', url, sdl: await sdl(url) },
    { name: 'carriers', url: `${carriers}/graphql`, sdl: await sdl(`${carriers}/graphql`) },
  ];
}

/** A Crossdock without integrations that wants to know who asks; `authorization` is what it takes. */
export async function guarded() {
  const own = await freePort();
  const secret = 'a secret of at least thirty-two bytes, for the suite';
  writeFileSync(
    `${scratch}/guarded.toml`,
    `[server]\nport = ${own}\n[store]\nurl = "sqlite:///guarded.db"\n[auth.jwt]\nissuer = "suite"\naudience = "crossdock"\nalgorithms = ["HS256"]\nsecret = "${secret}"\n`,
  );
  await python(['-m', 'server.cli', 'serve', '--config', `${scratch}/guarded.toml`], /Crossdock is ready/);
  const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: 'suite', aud: 'crossdock', sub: 'somebody', org: 'default', scope: 'read', iat: now, exp: now + 600 };
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  const authorization = `Bearer ${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  const at = `http://127.0.0.1:${own}/graphql`;
  const { data } = await ask('{ _service { sdl } }', {}, { to: at, headers: { authorization } });
  return { subgraph: { name: 'crossdock', url: at, sdl: data._service.sdl }, authorization };
}

/** Calls of one stand-in of the sandbox until now, by kind of call. */
export async function vendorCalls(name) {
  const { stand_ins } = await (await fetch(`${process.env.SANDBOX}/_control/${name}`)).json();
  return Object.assign({}, ...stand_ins.map(({ calls }) => calls));
}

// --- what any gateway over both has to do

const TRUCKS = ['IBA 118 EL', 'BWR 135 CH', 'KJA 152 CA'];
/** With one carrier more, whose vehicle has an id that is none of Crossdock's. */
export const spoiled = (text) =>
  text
    .replace('"500002": ["VmVoaWNsZR9mbGVldB80MDk"]', '"500002": ["VmVoaWNsZR9mbGVldB80MDk"], "500009": ["bm90aGluZw"]')
    .replace(/(\("500003", .*\),\n)/, '$1        ("500009", "Nobody", "1.00"),\n');

async function fail(name, failures) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${process.env.SANDBOX}/_control/${name}`, { method: 'POST', headers, body: JSON.stringify({ fail_next: failures }) });
  assert.equal(answer.status, 200);
}

async function callsDuring(name, work) {
  const before = await vendorCalls(name);
  await work();
  const after = await vendorCalls(name);
  return Object.fromEntries(Object.entries(after).map(([kind, count]) => [kind, count - (before[kind] ?? 0)]).filter(([, count]) => count));
}

/** Checks of a gateway that listens at `to`, over what `guarded()` gives. */
export function whoAsks(to, authorization) {
  const query = '{ systems { system } }';
  return {
    'who asks is told to Crossdock': async () => {
      const { data, errors } = await ask(query, {}, { to, headers: { authorization } });
      assert.equal(errors, undefined, JSON.stringify(errors));
      assert.ok(data.systems.length > 0);
    },
    'who says nothing is nobody there': async () => {
      for (const headers of [{}, { authorization: 'Bearer nonsense' }]) {
        const { data, errors } = await ask(query, {}, { to, headers });
        assert.equal(data?.systems ?? null, null);
        assert.ok(errors.length > 0);
      }
    },
  };
}

/** Checks of a gateway that listens at `to`, over `bothSubgraphs(spoiled)`. */
export function gatewayChecks(to) {
  const through = (query, variables) => ask(query, variables, { to });
  const data = async (query, variables) => {
    const answer = await through(query, variables);
    assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
    return answer.data;
  };
  return {
    'a query over both subgraphs, as the page shows it': async () => {
      const { orders } = await data(example('ask.graphql'));
      assert.equal(orders.nodes.length, 5);
      const hauled = orders.nodes.filter((order) => order.haulage);
      assert.ok(hauled.length > 0);
      for (const { haulage } of hauled) {
        assert.match(haulage.dayRate.amount, /^\d+\.\d\d$/);
        for (const vehicle of haulage.vehicles) assert.ok(TRUCKS.includes(vehicle.plate));
      }
    },
    'what one subgraph requires of the other': async () => {
      const { vehicles } = await data('{ vehicles(first: 100, sources: ["fleet"]) { nodes { carrier { name } plate } } }');
      const named = vehicles.nodes.filter((each) => each.carrier).map((each) => [each.plate, each.carrier.name]);
      assert.deepEqual(named.sort(), [['BWR 135 CH', 'Benue Haulage'], ['IBA 118 EL', 'Benue Haulage'], ['KJA 152 CA', 'Lekki Freight']]);
    },
    'what is required need not be asked for': async () => {
      const { items } = await data('query ($n: Int!) { items(first: $n, sources: ["plm"]) { nodes { tariffCode } } }', { n: 40 });
      assert.equal(items.nodes.length, 40);
      for (const { tariffCode } of items.nodes) assert.match(tariffCode, /^\d{4}\.\d\d$/);
    },
    'an object by its global id, joined': async () => {
      const { node } = await data('query ($id: ID!) { node(id: $id) { id ... on Vehicle { plate carrier { name } } } }', { id: 'VmVoaWNsZR9mbGVldB80MDM' });
      assert.deepEqual(node, { id: 'VmVoaWNsZR9mbGVldB80MDM', plate: 'IBA 118 EL', carrier: { name: 'Benue Haulage' } });
    },
    'entities are read in one batch': async () => {
      const one = await callsDuring('traccar', () => data('{ node(id: "VmVoaWNsZR9mbGVldB80MDM") { ... on Vehicle { plate position { latitude } } } }'));
      let found;
      const all = await callsDuring('traccar', async () => {
        found = (await through('{ carriers { vehicles { plate position { latitude } } } }')).data.carriers;
      });
      assert.deepEqual(found.flatMap((each) => each.vehicles.map((vehicle) => vehicle?.plate ?? null)), [...TRUCKS, null]);
      assert.ok(Object.keys(one).length > 0);
      assert.deepEqual(all, one); // three vehicles cost as many calls as one
    },
    'a bad representation spoils only itself': async () => {
      const { data: got, errors } = await through('{ carriers { name vehicles { id plate name } } }');
      const vehicles = got.carriers.flatMap((each) => each.vehicles);
      assert.deepEqual(vehicles.map((each) => each?.plate ?? null), [...TRUCKS, null]);
      assert.ok(errors.length > 0); // Hive tells it of each field, Apollo of the entity
      for (const error of errors) {
        assert.deepEqual(error.path.slice(0, 3), ['carriers', 3, 'vehicles']);
        assert.equal(error.extensions.code, 'BAD_USER_INPUT');
        assert.match(error.message, /not an id of this graph/);
      }
    },
    'an error of a field has its code, and the rest its data': async () => {
      const { data: got, errors } = await through('{ bad: node(id: "nonsense") { id } carriers { name } items(first: 1) { nodes { id } } }');
      assert.equal(got.bad, null);
      assert.equal(got.carriers.length, 4);
      assert.equal(got.items.nodes.length, 1);
      assert.deepEqual(errors.map((error) => [error.extensions.code, error.path?.at(0)]), [['BAD_USER_INPUT', 'bad']]);
    },
    "a vendor's error has its code and its integration": async () => {
      await fail('traccar', [{ status: 403, method: 'GET', times: 2 }]);
      const { data: got, errors } = await through('{ carriers { name vehicles { id plate } } }');
      await fail('traccar', []);
      assert.equal(got.carriers.length, 4);
      const vendors = errors.filter((error) => error.extensions.integration === 'fleet');
      assert.deepEqual(vendors.map((error) => error.extensions.code), ['ERR_PERMISSION_DENIED']);
    },
    'introspection shows both': async () => {
      const { __type } = await data('{ __type(name: "Vehicle") { description fields { name } } }');
      const names = __type.fields.map((field) => field.name);
      for (const name of ['carrier', 'plate', 'position', 'orders']) assert.ok(names.includes(name), name);
      assert.equal(__type.description, 'A vehicle that some system reports on.');
    },
  };
}
