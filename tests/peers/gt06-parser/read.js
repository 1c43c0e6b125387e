// Reads frames in hexadecimal, one a line, and writes what gt06-parser makes of each as a line of JSON.
const readline = require("readline");
const Gt06 = require("gt06-parser");

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const parser = new Gt06();
  try {
    parser.parse(Buffer.from(line, "hex"));
    console.log(JSON.stringify({ event: parser.event, ...parser.payload }));
  } catch (fault) {
    console.log(JSON.stringify({ fault: fault.error || String(fault) }));
  }
});
