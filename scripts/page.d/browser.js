// Opens the status page in headless Chromium by the DevTools protocol over pipes, and checks what it shows.
// Usage: node browser.js URL VERSION PROFILE SCREENSHOT
"use strict";
const { spawn } = require("child_process");
const fs = require("fs");

const [url, version, profile, screenshot] = process.argv.slice(2);
const LIMIT_MS = 120000, POLL_MS = 250;

// What the page shows, as text; graphs as the number of points of each line.
const READ = `JSON.stringify({
  version: document.getElementById("version").textContent,
  state: document.getElementById("state").textContent,
  graphs: Object.fromEntries([...document.querySelectorAll("#graphs figure")].map(figure => [
    figure.querySelector("figcaption span").textContent,
    {
      now: figure.querySelector("figcaption b").textContent,
      points: figure.querySelector("polyline").getAttribute("points").split(" ").filter(Boolean).length,
      height: figure.querySelector("svg").getBoundingClientRect().height,
    },
  ])),
  rows: Object.fromEntries([...document.querySelectorAll("table")].map(table => [table.id, table.rows.length])),
  text: document.body.innerText,
})`;

function fail(reason) {
  console.error("page: " + reason);
  process.exitCode = 1;
}

// Commands and events of the browser, each ended by an octet 0.
class Browser {
  constructor() {
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
      "--no-first-run", "--disable-background-networking", "--disable-component-update",
      "--user-data-dir=" + profile, "--window-size=1200,1400", "about:blank"];
    this.process = spawn("chromium", flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.waiting = new Map();
    this.last = 0;
    this.requests = [];
    this.errors = [];
    let rest = "";
    this.process.stdio[4].on("data", octets => {
      const messages = (rest + octets).split("\0");
      rest = messages.pop();
      messages.map(JSON.parse).forEach(message => this.receive(message));
    });
  }

  receive(message) {
    if (message.id !== undefined) {
      const { resolve, reject } = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message)); else resolve(message.result);
    } else if (message.method === "Network.requestWillBeSent") {
      this.requests.push(message.params.request.url);
    } else if (message.method === "Runtime.exceptionThrown") {
      this.errors.push(message.params.exceptionDetails.text);
    }
  }

  send(method, params = {}) {
    const id = ++this.last;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId: this.session }) + "\0");
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  async open(address) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    this.session = sessionId;
    for (const domain of ["Network", "Runtime", "Page"]) await this.send(domain + ".enable");
    await this.send("Page.navigate", { url: address });
  }

  async read() {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression: READ });
    return exceptionDetails ? null : JSON.parse(result.value);
  }
}

// True once the page shows live values and every graph has a line.
function isComplete(page) {
  return page !== null && parseFloat(page.graphs["responses per second"].now) > 0 &&
    parseFloat(page.graphs["hit ratio"].now) > 0 &&
    Object.values(page.graphs).every(graph => graph.points >= 2);
}

function check(page, requests, errors) {
  if (!isComplete(page)) return fail("no live values: " + JSON.stringify(page));
  if (!page.version.startsWith(version)) fail("version " + page.version + ", not " + version);
  if (!/^ready, up \d/.test(page.state)) fail("state " + page.state);
  if (Object.keys(page.graphs).length !== 6) fail("graphs " + Object.keys(page.graphs));
  for (const [title, graph] of Object.entries(page.graphs)) {
    if (!(graph.height > 20)) fail("the graph " + title + " has no height");
  }
  for (const id of ["upstreams", "node", "cache", "memory", "configuration"]) {
    if (!(page.rows[id] > 0)) fail("the table " + id + " is empty");
  }
  if (page.text.includes("secret-name")) fail("the page shows a queried name");
  const outside = requests.filter(address => !address.startsWith(url) && address !== "about:blank");
  if (outside.length > 0) fail("requested from elsewhere: " + outside);
  if (!requests.some(address => address === url + "status.json")) fail("status.json was not requested");
  if (errors.length > 0) fail("errors of the page: " + errors);
}

async function main() {
  const browser = new Browser();
  browser.process.on("exit", status => process.exitCode === undefined && status && fail("chromium exited: " + status));
  await browser.open(url);
  const end = Date.now() + LIMIT_MS;
  let page = await browser.read();
  while (!isComplete(page) && Date.now() < end) {
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
    page = await browser.read();
  }
  check(page, browser.requests, browser.errors);
  const { data } = await browser.send("Page.captureScreenshot", { captureBeyondViewport: true });
  fs.writeFileSync(screenshot, Buffer.from(data, "base64"));
  console.log("page: " + browser.requests.length + " requests, all to " + url + "; " + screenshot);
  browser.process.removeAllListeners("exit");
  browser.process.kill();
  process.exit();
}

main().catch(error => {
  fail(error.message);
  process.exit();
});
