/**
 * Checks what `vite build` left in dist/: small enough, and it asks no one else for anything.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = new URL("./dist/", import.meta.url).pathname;
const GZIP_MAX_BYTES = 60 * 1024;

/** Names, not addresses: nothing is fetched from them. */
const NAMESPACES = /http:\/\/www\.w3\.org\/[\w/]+/g;

const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));

const faults = [];
let total_bytes = 0;
for (const file of files) {
  const content = readFileSync(file);
  const gzip_bytes = gzipSync(content, { level: 9 }).length;
  total_bytes += gzip_bytes;
  console.log(`${String(gzip_bytes).padStart(7)}  ${file.slice(DIST.length)}`);
  const text = content.toString("utf8").replace(NAMESPACES, "");
  for (const [address] of text.matchAll(/(?:https?:)?\/\/[\w-]+\.[\w.-]+/g)) faults.push(`${file}: names ${address}`);
  for (const [link] of text.matchAll(/(?:src|href)="\/[^"]*"/g)) faults.push(`${file}: ${link} is not relative`);
}
console.log(`${String(total_bytes).padStart(7)}  bytes in all, gzip; ${GZIP_MAX_BYTES} allowed`);
if (total_bytes > GZIP_MAX_BYTES) faults.push("dist/ is too large");

for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
