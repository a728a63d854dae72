// A playlist on standard input, what m3u8-parser makes of it on standard output.
import { readFileSync } from "node:fs";
import { Parser } from "m3u8-parser";

const parser = new Parser();
const warnings = [];
for (const kind of ["warn", "error"]) parser.on(kind, ({ message }) => warnings.push(message));
parser.push(readFileSync(0, "utf8"));
parser.end();
console.log(JSON.stringify({ ...parser.manifest, warnings }));
