/* A SOAP server on a free loopback port that serves the WSDL named on the command line; its answers come from the JSON
 * file named after it: function module -> parameters. Notes what it was asked; prints the port as one line of JSON. */

"use strict";

const fs = require("node:fs");
const http = require("node:http");
const soap = require("soap");

const [wsdlFile, answersFile] = process.argv.slice(2);
const wsdl = fs.readFileSync(wsdlFile, "utf8");
const answers = JSON.parse(fs.readFileSync(answersFile, "utf8"));
const asked = [];

const operations = {};
for (const [name, answer] of Object.entries(answers)) {
    operations[name] = (parameters) => {
        asked.push({ name, parameters });
        return answer;
    };
}

const server = http.createServer((request, response) => {
    if (request.method === "GET" && request.url.startsWith("/asked")) {
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify(asked));
        return;
    }
    response.statusCode = 404;
    response.end();
});
server.listen(0, "127.0.0.1", () => {
    const service = { CROSSDOCK_BAPISService: { CROSSDOCK_BAPISPort: operations } };
    soap.listen(server, { path: "/sap/bc/soap/rfc", services: service, xml: wsdl, callback: () => {
        process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`);
    } });
});
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
