// graphql-http's own audits of a GraphQL-over-HTTP server, and what they leave out (http-checks.mjs).
import { serverAudits } from 'graphql-http';

import { checks } from './http-checks.mjs';
import { run, url } from './suite.mjs';

const audits = serverAudits({ url, fetchFn: fetch }).map((audit) => [
  `${audit.id} ${audit.name}`,
  async () => {
    const { status, reason } = await audit.fn();
    if (status !== 'ok') throw new Error(`${status}: ${reason}`);
  },
]);
await run('graphql-http audits', { ...Object.fromEntries(audits), ...checks });
