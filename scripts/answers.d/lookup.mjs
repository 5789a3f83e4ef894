// Resolves all types that Node.js's resolver (c-ares) knows. Usage: lookup.mjs ADDRESS NAME
import { promises } from "node:dns";

const [address, name] = process.argv.slice(2);
const resolver = new promises.Resolver({ timeout: 5000, tries: 1 });
resolver.setServers([`${address}:53`]);
const types = ["A", "AAAA", "CAA", "CNAME", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "TXT"];
for (const type of types) {
  try {
    const records = await resolver.resolve(name, type);
    if (records.length === 0) throw new Error("no records");
  } catch (error) {
    process.exitCode = 1;
    console.log(`${type}: ${error.message}`);
  }
}
