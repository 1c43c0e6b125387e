// graphql-codegen: the types of the schema, of the operations of web/examples, and the client preset; all of it compiles
// with `tsc --strict`, and using it wrongly does not.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import * as typescript from '@graphql-codegen/typescript';
import * as operations from '@graphql-codegen/typescript-operations';
import { parse } from 'graphql';

import { assert, root, run, schemaFile, scratch } from './suite.mjs';

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const examples = readdirSync(`${root}web/examples`).filter((name) => name.endsWith('.graphql')).sort();
const documents = examples.map((location) => {
  const rawSDL = readFileSync(`${root}web/examples/${location}`, 'utf8');
  return { location, rawSDL, document: parse(rawSDL) };
});
const names = documents.map(({ document }) => document.definitions[0].name.value);
const schema = parse([schemaFile, `${root}tests/conformance/federation.graphql`].map((file) => readFileSync(file, 'utf8')).join('\n'));
const scalars = {
  DateTime: 'string', Date: 'string', Decimal: 'string', Duration: 'string', GeoJSON: '{ type: string }', // ours
  _Any: 'unknown', federation__FieldSet: 'string', link__Import: 'unknown', // federation's
};
const config = { strictScalars: true, scalars, enumsAsTypes: true };

const folder = `${scratch}/codegen`;
const write = (name, text) => {
  mkdirSync(dirname(`${folder}/${name}`), { recursive: true });
  writeFileSync(`${folder}/${name}`, text);
};
rmSync(folder, { recursive: true, force: true });

await run(
  'graphql-codegen',
  {
    'typescript: the types of the schema': async () => {
      const text = await codegen({ schema, documents: [], config, plugins: [{ typescript: {} }], pluginMap: { typescript }, filename: 'types.ts' });
      for (const name of ['Vehicle', 'VehicleFilter', 'OrderConnection', 'RecordKey']) assert.match(text, new RegExp(`export type ${name} =`));
      write('types.ts', text);
    },
    'typescript-operations: the types of the examples': async () => {
      const text = await codegen({ schema, documents, config, plugins: [{ operations: {} }], pluginMap: { operations }, filename: 'operations.ts' });
      for (const name of names) assert.match(text, new RegExp(`export type ${name}(Query|Subscription) = `));
      write('operations.ts', text);
    },
    'client-preset': async () => {
      const sections = await preset.buildGeneratesSection({
        baseOutputDir: `${folder}/gql/`, schema, documents, config, presetConfig: {}, plugins: [], pluginMap: {}, pluginContext: {},
      });
      for (const section of sections) write(`gql/${section.filename.split('/').pop()}`, await codegen(section));
      assert.deepEqual(readdirSync(`${folder}/gql`).sort(), ['fragment-masking.ts', 'gql.ts', 'graphql.ts', 'index.ts']);
    },
    'tsc --strict takes all of it, used rightly, and nothing used wrongly': () => {
      write('uses.ts', `import type { ResultOf } from '@graphql-typed-document-node/core';
import { graphql } from './gql';
import type { OrdersToStockQuery, VehiclesLiveSubscription } from './operations';
import type { RecordKey, Vehicle } from './types';

export const number = (found: OrdersToStockQuery): string | undefined => found.orders?.nodes[0]?.lines[0]?.item?.number;
export const speed = (found: VehiclesLiveSubscription): number | null | undefined => found.vehicleChanged.position?.speedKmh;
export const plate = (vehicle: Vehicle): string | null | undefined => vehicle.plate;
export const key: RecordKey = { number: { number: 'TRK 1' } };
// @ts-expect-error exactly one of its fields
export const keys: RecordKey = { number: { number: 'TRK 1' }, external: { integration: 'fleet', externalId: '1' } };
// @ts-expect-error a list may be null
export const rows = (found: OrdersToStockQuery) => found.orders.nodes;
// @ts-expect-error it was not asked for
export const name = (found: OrdersToStockQuery) => found.orders?.nodes[0]?.carrier;

const document = graphql(${JSON.stringify(documents[0].rawSDL)});
export const status = (found: ResultOf<typeof document>): string | undefined => found.orders?.nodes[0]?.status;
// @ts-expect-error it was not asked for
export const id = (found: ResultOf<typeof document>) => found.orders?.nodes[0]?.id;
`);
      const options = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'esnext', '--moduleResolution', 'bundler'];
      const done = spawnSync(process.execPath, [tsc, ...options, 'uses.ts'], { cwd: folder, encoding: 'utf8' });
      assert.equal(done.status, 0, done.stdout);
    },
  },
  60,
);
