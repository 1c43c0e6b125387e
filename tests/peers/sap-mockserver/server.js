/* SAP's mock server on a free loopback port, over the EDMX files named on the command line as
 * `urlPath=path/to/file.edmx`. Prints the port as one line of JSON. */

"use strict";

const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const fs = require("node:fs");

const { default: FEMockserver } = require("@sap-ux/fe-mockserver-core");

async function main() {
    const empty = fs.mkdtempSync(path.join(os.tmpdir(), "sap-mockserver-"));
    const services = process.argv.slice(2).map((pair) => {
        const at = pair.indexOf("=");
        return {
            urlPath: pair.slice(0, at),
            metadataPath: path.resolve(pair.slice(at + 1)),
            mockdataPath: empty,
            generateMockData: true,
        };
    });
    const mock = new FEMockserver({ services, watch: false });
    await mock.isReady;
    const router = mock.getRouter();
    const server = http.createServer((request, response) => {
        router(request, response, () => {
            response.statusCode = 404;
            response.end();
        });
    });
    server.listen(0, "127.0.0.1", () => {
        process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`);
    });
    process.stdin.on("end", () => process.exit(0));
    process.stdin.resume();
}

main().catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
