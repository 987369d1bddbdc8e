// One of three HL7 receivers of npm, as its own documentation shows it: prints a line of JSON for each message that it
// parsed, with the fields as that package sees them, and lets the package make the acknowledgement.
//   node receive.cjs simple-hl7|medplum|node-hl7-server PORT
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");

const load = createRequire(path.join(__dirname, "../../build/receivers/package.json"));
const [kind, port] = [process.argv[2], Number(process.argv[3])];
const tell = (content) => process.stdout.write(JSON.stringify(content) + "\n");

const receivers = {
  "simple-hl7"() {
    const hl7 = load("simple-hl7");
    const app = hl7.tcp();
    app.use((request, response, next) => {
      const delimiters = request.msg.header.delimiters;
      const fields = (segment) => segment.fields.map((field) => field.toString(delimiters));
      const segments = request.msg.segments.map((segment) => [segment.name, ...fields(segment)]);
      tell({ segments: [["MSH", "^~\\&", ...fields(request.msg.header)], ...segments] });
      response.end();
      next();
    });
    app.start(port);
    app.server.server.on("listening", () => tell({ ready: port }));
  },
  medplum() {
    const { Hl7Server } = load("@medplum/hl7");
    const server = new Hl7Server((connection) => {
      connection.addEventListener("message", (event) => {
        // its parser takes what follows the last carriage return, nothing, for one more segment
        const segments = event.message.segments.filter((segment) => segment.name);
        tell({ segments: segments.map((segment) => segment.fields.map((field) => field.toString())) });
        connection.send(event.message.buildAck());
      });
    });
    server.start(port);
    server.server.on("listening", () => tell({ ready: port }));
  },
  "node-hl7-server"() {
    const { Server } = load("node-hl7-server");
    const inbound = new Server({ bindAddress: "127.0.0.1" }).createInbound({ port }, async (request, response) => {
      const message = request.getMessage();
      const get = (place) => message.get(place).toString();
      tell({
        text: message.toString(),
        fields: Object.fromEntries(["MSH.10", "PID.3.1", "PID.5.1", "PID.5.2", "OBR.3.1", "OBR.18"].map((place) => [place, get(place)])),
      });
      await response.sendResponse("AA");
    });
    inbound.on("listen", () => tell({ ready: port }));
    inbound.on("data.error", (error) => tell({ error: String(error) }));
  },
};

receivers[kind]();
