// Checks that neither the page nor its status is served.
// Usage: node absent.js URL
"use strict";
const http = require("http");

for (const path of ["", "status.json"]) {
  const address = process.argv[2] + path;
  http.get(address, response => {
    response.resume();
    if (response.statusCode !== 404) {
      console.error("page: " + address + ": status " + response.statusCode + ", not 404");
      process.exitCode = 1;
    }
  }).on("error", error => {
    console.error("page: " + address + ": " + error.message);
    process.exitCode = 1;
  });
}
