// The default tabs: every web/examples/*.graphql, read at build time, in file-name order.

const operations = import.meta.glob('../examples/*.graphql', {
  query: '?raw',
  import: 'default',
  eager: true,
});
const variables = import.meta.glob('../examples/*.variables.json', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** One `{ query, variables }` per file; the title is the query's first comment line (tab-title.js). */
export const examples = Object.keys(operations)
  .sort()
  .map((path) => ({
    query: operations[path].trimEnd(),
    variables: variables[path.replace(/\.graphql$/, '.variables.json')]?.trimEnd(),
  }));
