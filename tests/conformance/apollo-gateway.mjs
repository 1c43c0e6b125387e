// @apollo/gateway in front of Crossdock and the second subgraph, as docs/federation.md starts it.

import { writeFileSync } from 'node:fs';

import { bothSubgraphs, gatewayChecks, guarded, spoiled, whoAsks, written } from './federation.mjs';
import { composed, freePort, run, scratch, start } from './suite.mjs';

async function gateway(subgraphs) {
  writeFileSync(`${scratch}/supergraph.graphql`, composed(subgraphs).supergraphSdl); // it is read at the start
  const [, at] = await start(process.execPath, [written('gateway.mjs')], /^ready (\S+)$/m, { cwd: scratch, env: { PORT: await freePort() } });
  return at;
}

const to = await gateway(await bothSubgraphs(spoiled));
const { subgraph, authorization } = await guarded();
await run('apollo-gateway', { ...gatewayChecks(to), ...whoAsks(await gateway([subgraph]), authorization) });
