// graphql-inspector: the running server has the schema of schema.graphql, and what would break clients is found.

import { readFileSync, readdirSync } from 'node:fs';

import { CriticalityLevel, diff, validate } from '@graphql-inspector/core';
import { buildASTSchema, buildClientSchema, getIntrospectionQuery, parse, Source } from 'graphql';

import { ask, assert, root, run, schemaFile } from './suite.mjs';

const text = readFileSync(schemaFile, 'utf8');
const federation = readFileSync(`${root}tests/conformance/federation.graphql`, 'utf8');
const build = (sdl) => buildASTSchema(parse(`${sdl}\n${federation}`), { assumeValidSDL: true });
const kept = build(text);
const { data } = await ask(getIntrospectionQuery({ oneOf: true, specifiedByUrl: true, inputValueDeprecation: true, directiveIsRepeatable: true }));
const running = buildClientSchema(data);

// directives and their types, which introspection shows otherwise (`_FieldSet`), or as something else (`isOneOf`)
const GIVEN = /^(link__|federation__|_FieldSet|@)|\.@oneOf$/;
const changes = async (before, after) => (await diff(before, after)).filter(({ path }) => !GIVEN.test(path ?? ''));
const breaking = (found) => found.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking);

const seeded = (title, from, to, type) => ({
  [`found: ${title}`]: async () => {
    const changed = text.replace(from, to);
    assert.notEqual(changed, text);
    const found = breaking(await changes(kept, build(changed)));
    assert.ok(found.some((each) => each.type === type), JSON.stringify(found));
  },
});

await run('graphql-inspector', {
  'the running server breaks nothing that schema.graphql says': async () => assert.deepEqual(breaking(await changes(kept, running)), []),
  'nor does it differ otherwise, but in directives, which introspection does not show': async () => {
    const found = await changes(kept, running);
    assert.deepEqual(found.filter(({ type }) => !type.startsWith('DIRECTIVE_USAGE')).map(({ type, path }) => `${type} ${path}`), []);
  },
  'the other way round neither': async () => assert.deepEqual(breaking(await changes(running, kept)), []),
  'the examples fit the schema, and use nothing deprecated': async () => {
    const sources = readdirSync(`${root}web/examples`).map((name) => new Source(readFileSync(`${root}web/examples/${name}`, 'utf8'), name));
    assert.deepEqual(validate(running, sources, { strictDeprecated: true }), []);
  },
  ...seeded('a field that goes', /  """[^"]*"""\n  plate: String\n/, '', 'FIELD_REMOVED'),
  ...seeded('a type that goes', /  """[^"]*"""\n  driver: Driver .*\n|"""[^"]*"""\ntype Driver [^}]*\}\n/g, '', 'TYPE_REMOVED'),
  ...seeded('a field that becomes nullable', 'available: Quantity!', 'available: Quantity', 'FIELD_TYPE_CHANGED'),
  ...seeded('an argument that becomes required', '    sources: [String!] = null\n  ): VehicleConnection', '    sources: [String!]!\n  ): VehicleConnection', 'FIELD_ARGUMENT_TYPE_CHANGED'),
  ...seeded('a value of an enumeration that goes', /\n  """Its job is interrupted."""\n  PAUSED\n/, '\n', 'ENUM_VALUE_REMOVED'),
  ...seeded('an input field that is added and required', 'input NumberKey {', 'input NumberKey {\n  spelling: String!', 'INPUT_FIELD_ADDED'),
  ...seeded('a type that leaves the union of entities', ' | Vehicle | ', ' | ', 'UNION_MEMBER_REMOVED'),
  ...seeded('an interface that is left', 'type Vehicle implements Sourced & Node', 'type Vehicle implements Node', 'OBJECT_TYPE_INTERFACE_REMOVED'),
});
