// @apollo/gateway in front of Crossdock and the second subgraph, as docs/federation.md starts it.

import { writeFileSync } from 'node:fs';

import { bothSubgraphs, gatewayChecks, spoiled, written } from './federation.mjs';
import { composed, freePort, run, scratch, start } from './suite.mjs';

writeFileSync(`${scratch}/supergraph.graphql`, composed(await bothSubgraphs(spoiled)).supergraphSdl);
const [, to] = await start(process.execPath, [written('gateway.mjs')], /^ready (\S+)$/m, { cwd: scratch, env: { PORT: await freePort() } });
await run('apollo-gateway', gatewayChecks(to));
