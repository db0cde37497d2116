// SPDX-License-Identifier: Apache-2.0
// The operator's end of a session by two strangers: the npm package ssm-session makes and reads the
// frames as its own pages say, node's ws carries them. In the place of session-manager-plugin, with
// its arguments; CASE in the environment says what is done. Prints TAP lines without a plan.
"use strict";

const WebSocket = require("ws");
const { ssm } = require("ssm-session");

const OUTPUT = 1, HANDSHAKE = 5, ANSWER = 6, COMPLETE = 7, STDERR = 11, EXIT_CODE = 12;
const AT_SEQUENCE = 48, AT_PAYLOAD_TYPE = 112; // offsets in a frame, spec 02 §2.1

function tell(good, what, more) {
  console.log(`${good ? "ok" : "not ok"} - ${what}`);
  if (!good) console.log(String(more).slice(-2000).replace(/^/gm, "# "));
}

const RESEND_MS = 300;

class Session {
  constructor(response, size) {
    this.output = "";
    this.others = [];
    this.sequence = 0;
    this.expected = 0;
    this.wakers = [];
    this.unacknowledged = new Map();
    this.socket = new WebSocket(response.StreamUrl);
    this.socket.binaryType = "arraybuffer";
    this.opened = new Promise((done) => this.socket.on("open", done));
    this.socket.on("message", (data) => this.take(data));
    this.socket.on("close", () => this.wake());
    this.opened.then(() => {
      if (size) {
        ssm.init(this, { token: response.TokenValue, termOptions: size });
        this.sequence = 1; // the size was its first message
      } else {
        this.send(ssm.buildTokenMessage(response.TokenValue));
      }
      setInterval(() => this.unacknowledged.forEach((frame) => this.socket.send(frame)), RESEND_MS);
    });
  }

  // What the package takes for a socket. It repeats nothing; the node may not be there yet.
  send(frame) {
    const message = typeof frame !== "string" && ssm.decode(frame);
    if (message && message.messageType.endsWith("input_stream_data"))
      this.unacknowledged.set(message.sequenceNumber, frame);
    this.socket.send(frame);
  }

  // Every message is acknowledged, as the package's pages have it, acknowledgements too.
  take(data) {
    const message = ssm.decode(data);
    const kind = message.messageType.replace(/\0/g, "");
    if (kind === "channel_closed") this.closed = JSON.parse(Buffer.from(message.payload));
    else ssm.sendACK(this, message);
    if (kind === "acknowledge") {
      const of = JSON.parse(Buffer.from(message.payload));
      this.unacknowledged.delete(of.AcknowledgedMessageSequenceNumber);
    }
    if (kind === "output_stream_data" && message.sequenceNumber === this.expected) {
      this.expected++;
      if (message.payloadType === OUTPUT) this.output += Buffer.from(message.payload).toString();
      else this.others.push([message.payloadType, Buffer.from(message.payload).toString()]);
    }
    this.wake();
  }

  wake() {
    this.wakers.splice(0).forEach((done) => done());
  }

  async until(condition) {
    while (!condition()) await new Promise((done) => this.wakers.push(done));
  }

  type(text) {
    ssm.sendText(this, new TextEncoder().encode(text), this.sequence++);
  }

  // The package makes frames of two payload types, and numbers sizes 0.
  resize(size) {
    const frame = ssm.buildInitMessage(size);
    new DataView(frame.buffer).setBigInt64(AT_SEQUENCE, BigInt(this.sequence++));
    this.send(frame);
  }

  answer(value) {
    const frame = ssm.buildInputMessage(JSON.stringify(value), this.sequence++);
    new DataView(frame.buffer).setUint32(AT_PAYLOAD_TYPE, ANSWER);
    this.send(frame);
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function shell(response) {
  const s = new Session(response, { cols: 123, rows: 45 });
  await s.until(() => /[#$] $/.test(s.output));
  s.type("stty size; printf 'gr\\303\\274%se\\n' ss\r");
  await s.until(() => s.output.includes("grüsse"));
  tell(s.output.includes("45 123"), "a shell of the size that was sent first", s.output);
  s.resize({ cols: 90, rows: 30 });
  s.type("stty size; echo si''zed\r");
  await s.until(() => s.output.includes("sized"));
  tell(s.output.includes("30 90"), "its size changes", s.output);
  s.type("sleep 30\r");
  await pause(300);
  s.type("\x03");
  s.type("echo inter''rupted\r");
  await s.until(() => s.output.includes("interrupted"));
  tell(true, "what runs is interrupted");
  s.output = "";
  s.type("seq 100000 140000; echo en''d\r");
  await s.until(() => s.output.includes("110000"));
  s.socket.pause(); // nothing is read for a while
  await pause(1500);
  s.socket.resume();
  await s.until(() => s.output.includes("\nend"));
  const numbers = s.output.split("\r\n").filter((line) => /^1[0-4]\d{4}$/.test(line));
  tell(numbers.length === 40001 && numbers.every((n, i) => Number(n) === 100000 + i),
    "all output arrives in order, though the client rests for a while", numbers.length);
  s.type("exit\r");
  await s.until(() => s.closed);
  tell(true, "exit ends the session");
}

async function command(response) {
  const s = new Session(response);
  await s.until(() => s.others.length > 0);
  const request = JSON.parse(s.others[0][1]);
  const actions = request.RequestedClientActions.map((a) => a.ActionType);
  tell(s.others[0][0] === HANDSHAKE && actions.join() === "SessionType", "a handshake is asked for",
    JSON.stringify(s.others));
  s.answer({ ClientVersion: "1.2.650.0", Errors: null, ProcessedClientActions: [
    { ActionType: "SessionType", ActionStatus: 1, ActionResult: null, Error: "" }] });
  await s.until(() => s.closed);
  tell(s.others[1] && s.others[1][0] === COMPLETE, "and completed", JSON.stringify(s.others));
  tell(s.output === "the word is hello\n", "the command's output", s.output);
  const rest = s.others.slice(2).map((other) => other.join(" "));
  tell(rest.join() === `${STDERR} no\n,${EXIT_CODE} EXIT_CODE: 3`, "its errors, its exit code", rest);
}

const given = process.argv[2];
if (given === "--version") {
  console.log("1.2.650.0");
} else {
  const text = given.startsWith("AWS_SSM_START_SESSION_RESPONSE") ? process.env[given] : given;
  ({ shell, command })[process.env.CASE](JSON.parse(text)).then(() => process.exit(0), (error) => {
    tell(false, "no exception", error.stack);
    process.exit(0);
  });
}
