// SPDX-License-Identifier: Apache-2.0

// A function in Node.js: what it does is what its payload says.
"use strict";
const fs = require("fs");

class NoSuchCustomer extends Error {
  constructor(message) {
    super(message);
    this.name = "NoSuchCustomer";
  }
}

exports.handler = async (event, context) => {
  switch (event.do) {
    case "greet":
      console.log("greeting " + event.name);
      return {
        greeting: "hello, " + event.name,
        request: context.awsRequestId,
        left: context.getRemainingTimeInMillis(),
      };
    case "refuse":
      throw new NoSuchCustomer("nobody is called " + event.name);
    case "sleep":
      return new Promise(() => setInterval(() => {}, 1000));
    case "large":
      return { text: "x".repeat(event.bytes) };
    case "write":
      fs.writeFileSync(event.directory + "/report.txt", "written by Node");
      return { file: "report.txt" };
    case "panic":
      process.exit(3);
  }
  throw new Error("unknown: " + event.do);
};

exports.stream = awslambda.streamifyResponse(async (event, out) => {
  out.write('{"text": "');
  for (let left = event.bytes; left > 0; left -= 1000) out.write("x".repeat(Math.min(left, 1000)));
  out.end('"}');
});
