// graphql-eslint's schema-recommended and schema-relay over schema.graphql: every rule of both is on.

import { readFileSync } from 'node:fs';

import * as plugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import { Kind, parse, print, visit } from 'graphql';

import { assert, root, run, schemaFile } from './suite.mjs';

// Names that Apollo's specification and GraphQL's own (@oneOf) give, not we
const GIVEN = new Set(['_entities', '_service', '_Any', '_Entity', '_Service', 'oneOf']);
const document = parse(readFileSync(schemaFile, 'utf8'));
const drop = (node) => (GIVEN.has(node.name.value) ? null : undefined);
const ours = visit(document, { FieldDefinition: drop, ScalarTypeDefinition: drop, UnionTypeDefinition: drop, ObjectTypeDefinition: drop, DirectiveDefinition: drop });

// Values, which have no identity: the types that are @shareable
const values = ours.definitions
  .filter((node) => node.kind === Kind.OBJECT_TYPE_DEFINITION && node.directives.some(({ name }) => name.value === 'shareable'))
  .map((node) => node.name.value);

const rules = { ...plugin.configs['flat/schema-recommended'].rules, ...plugin.configs['flat/schema-relay'].rules };
const options = {
  // pages and rows have no identity either
  'strict-id-in-types': { exceptions: { suffixes: ['Connection', 'Edge'], types: values } },
  // plain lists are lists of values and bounded joins; Relay's specification does not forbid them
  'relay-edge-types': { listTypeCanWrapOnlyEdgeType: false },
  // vendors page forwards only; a `last` that fails or reads everything would be worse than none
  'relay-arguments': { includeBoth: false },
};
for (const [name, given] of Object.entries(options)) rules[`@graphql-eslint/${name}`] = ['error', given];

async function lint(text) {
  // what the schema's @link brings in, so that the linter knows the directives
  const schema = [`${root}tests/conformance/federation.graphql`, text];
  const eslint = new ESLint({
    cwd: root,
    overrideConfigFile: true,
    overrideConfig: [
      {
        files: ['**/*.graphql'],
        plugins: { '@graphql-eslint': plugin },
        languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema } } },
        rules,
      },
    ],
  });
  const [{ messages }] = await eslint.lintText(text, { filePath: schemaFile });
  return messages;
}

const text = print(ours);
const messages = await lint(text);
const checks = {};
for (const rule of Object.keys(rules))
  checks[rule.replace('@graphql-eslint/', '')] = () =>
    assert.deepEqual(messages.filter((each) => each.ruleId === rule || each.ruleId === null).map(({ line, message }) => `${line}: ${message}`), []);

await run('graphql-eslint', {
  ...checks,
  'a schema that is not well is found out': async () => {
    const found = new Set((await lint(`${text}\n\ntype ItemRow {\n  number: String\n}\n`)).map((each) => each.ruleId));
    for (const rule of ['require-description', 'strict-id-in-types', 'no-unreachable-types']) assert.ok(found.has(`@graphql-eslint/${rule}`), rule);
  },
});
