/** Certificates from openssl: authorities, and what they sign. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { run, temp_folder } from "./processes.mjs";

async function openssl(...args) {
  const { code, stderr } = await run("openssl", args);
  assert.equal(code, 0, stderr);
}

const kKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** An authority: {file, pem, sign}. `sign(name, {days, folder})` gives {cert_file, key_file, cert, key} for 127.0.0.1. */
export async function make_authority(name) {
  const folder = temp_folder(`ca-${name}`);
  const file = join(folder, "ca.pem");
  const key = join(folder, "ca.key");
  await openssl("req", "-x509", ...kKey, "-days", "2", "-subj", `/CN=${name}`, "-keyout", key, "-out", file);
  let serial = 1;
  const sign = async (subject, { days = 2, into = temp_folder("certificate") } = {}) => {
    const [cert_file, key_file] = [join(into, "cert.pem"), join(into, "key.pem")];
    const [request, extensions] = [join(into, "request.pem"), join(into, "extensions.cnf")];
    writeFileSync(extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    await openssl("req", "-new", ...kKey, "-subj", `/CN=${subject}`, "-keyout", key_file, "-out", request);
    await openssl(
      ...["x509", "-req", "-in", request, "-CA", file, "-CAkey", key, "-set_serial", String(serial++)],
      ...["-days", String(days), "-extfile", extensions, "-out", cert_file],
    );
    return { cert_file, key_file, cert: readFileSync(cert_file, "utf8"), key: readFileSync(key_file, "utf8") };
  };
  return { file, pem: readFileSync(file, "utf8"), sign };
}
