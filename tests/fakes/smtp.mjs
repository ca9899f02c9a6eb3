/** A mail server of the few commands that senders use (RFC 5321), with logins, STARTTLS, and faults. */
import { createServer } from "node:net";
import { TLSSocket } from "node:tls";

/** The value of a header, unfolded and decoded (RFC 2047, base 64 words only). */
function header(head, name) {
  const line = head
    .replace(/\r\n[ \t]/g, " ")
    .split("\r\n")
    .find((text) => text.toLowerCase().startsWith(`${name}:`));
  return line
    ?.slice(name.length + 1)
    .trim()
    .replace(/\?= +=\?/g, "?==?")
    .replace(/=\?UTF-8\?B\?([^?]*)\?=/g, (_, words) => Buffer.from(words, "base64").toString());
}

function parse(text) {
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  return {
    subject: header(head, "subject"),
    from: header(head, "from"),
    to: header(head, "to"),
    head,
    text: header(head, "content-transfer-encoding") === "base64" ? Buffer.from(body, "base64").toString() : body,
  };
}

export class SmtpServer {
  /** Messages taken: {from, recipients, secure, user, mail: {subject, from, to, text}}. */
  messages = [];
  /** Connections made so far. */
  connections = 0;
  /** Answers to the next messages in place of 250, one each: "451 later". */
  refusals = [];
  /** Says nothing at all. */
  silent = false;

  /** `tls`: {key, cert} offers STARTTLS; `login`: {user, password} that is demanded. */
  constructor({ tls, login } = {}) {
    this.tls = tls;
    this.login = login;
    this.sockets = new Set();
    this.server = createServer((socket) => this.#serve(socket));
  }

  async listen(port = 0) {
    await new Promise((resolve, reject) => this.server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    return this;
  }

  #serve(plain) {
    ++this.connections;
    this.sockets.add(plain);
    plain.on("error", () => {}).on("close", () => this.sockets.delete(plain));
    if (this.silent) return;
    const session = { secure: false, user: undefined };
    this.#talk(plain, session);
    plain.write("220 fake ESMTP\r\n");
  }

  #talk(socket, session) {
    let unread = "";
    let data;
    let mail = {};
    let asked = false; // the next line is what AUTH PLAIN wants
    const say = (line) => socket.write(`${line}\r\n`);
    const on_text = (piece) => {
      unread += piece.toString();
      for (;;) {
        if (data !== undefined) {
          const end = unread.indexOf("\r\n.\r\n");
          if (end < 0) return;
          const text = unread.slice(0, end).replace(/\r\n\.\./g, "\r\n.");
          unread = unread.slice(end + 5);
          data = undefined;
          const refusal = this.refusals.shift();
          if (!refusal) this.messages.push({ ...mail, ...session, mail: parse(`${text}\r\n`) });
          say(refusal ?? "250 taken");
          continue;
        }
        const end = unread.indexOf("\r\n");
        if (end < 0) return;
        const line = unread.slice(0, end);
        unread = unread.slice(end + 2);
        const verb = line.split(/[ :]/)[0].toUpperCase();
        if (verb === "EHLO") {
          if (this.tls && !session.secure) say("250-STARTTLS");
          if (this.login) say("250-AUTH PLAIN");
          say("250 SMTPUTF8");
        } else if (verb === "HELO" || verb === "NOOP" || verb === "RSET") {
          say("250 fine");
        } else if (verb === "STARTTLS" && this.tls && !session.secure) {
          say("220 go on");
          socket.removeListener("data", on_text);
          const secure = new TLSSocket(socket, { isServer: true, ...this.tls });
          secure.on("error", () => {});
          session.secure = true;
          this.#talk(secure, session);
          return;
        } else if (verb === "AUTH" && line.split(" ").length === 2) {
          asked = true;
          say("334 ");
        } else if (verb === "AUTH" || asked) {
          const words = asked ? line : line.split(" ")[2];
          asked = false;
          const [, user, password] = Buffer.from(words, "base64").toString().split("\0");
          const right = user === this.login?.user && password === this.login?.password;
          session.user = right ? user : undefined;
          say(right ? "235 welcome" : "535 no");
        } else if (verb === "MAIL") {
          if (this.login && !session.user) say("530 log in first");
          else {
            mail = { from: /<(.*?)>/.exec(line)[1], recipients: [] };
            say("250 fine");
          }
        } else if (verb === "RCPT") {
          mail.recipients.push(/<(.*?)>/.exec(line)[1]);
          say("250 fine");
        } else if (verb === "DATA") {
          data = "";
          say("354 go on");
        } else if (verb === "QUIT") {
          say("221 bye");
          socket.end();
        } else {
          say("502 what?");
        }
      }
    };
    socket.on("data", on_text);
  }

  async close() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export const start_smtp = (options) => new SmtpServer(options).listen();
