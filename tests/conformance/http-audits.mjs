// graphql-http's own audits of a GraphQL-over-HTTP server.
import { serverAudits } from 'graphql-http';

const url = `${process.argv[2]}/graphql`;
let passed = 0;
const failed = [];
for (const audit of serverAudits({ url, fetchFn: fetch })) {
  const result = await audit.fn();
  if (result.status === 'ok') passed += 1;
  else failed.push(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
}
for (const line of failed) console.log(line);
console.log(`graphql-http audits: ${passed} passed, ${failed.length} failed`);
process.exit(failed.length ? 1 : 0);
