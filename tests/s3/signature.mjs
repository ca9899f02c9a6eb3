// AWS Signature Version 4 worked out from the request alone, after
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: nothing of the client's is used.
// Google's is the same with other names: https://cloud.google.com/storage/docs/authentication/signatures.
import { createHash, createHmac } from "node:crypto";

const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Percent-encoding of AWS: everything but A-Z a-z 0-9 - _ . ~ */
const encode = (text) =>
  [...Buffer.from(text, "utf8")]
    .map((byte) =>
      /[A-Za-z0-9\-_.~]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");

const canonicalPath = (path) =>
  path
    .split("/")
    .map((part) => encode(decodeURIComponent(part)))
    .join("/");

const canonicalQuery = (query) =>
  query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const at = pair.indexOf("=");
      const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
      return [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))];
    })
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");

/** The names of each kind of signature. */
const kinds = {
  AWS4: { own: "x-amz-", service: "s3", end: "aws4_request" },
  GOOG4: { own: "x-goog-", service: "storage", end: "goog4_request" },
};

/** "x-amz-" or "x-goog-": whose words a request uses. */
export const ownHeaders = (headers) => ((headers.authorization ?? "").startsWith("GOOG4") ? "x-goog-" : "x-amz-");

/**
 * What is wrong with a request, as {status, code, message}; null when its signature is good.
 * `keys`: secrets by access key id; `token`: the session token that must come along, if any.
 */
export function checkSignature({ method, url, headers, body }, { keys, region: amazonRegion, token }) {
  const refuse = (status, code, message) => ({ status, code, message });
  const found = /^(AWS4|GOOG4)-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
    headers.authorization ?? "",
  );
  if (!found) return refuse(403, "AccessDenied", "no signature of version 4");
  const [, kind, credential, signedHeaders, signature] = found;
  const words = kinds[kind];
  const region = kind === "GOOG4" ? "auto" : amazonRegion;
  const strange = kind === "GOOG4" ? "x-amz-" : "x-goog-";
  if (Object.keys(headers).some((name) => name.startsWith(strange)))
    return refuse(400, "InvalidArgument", `headers that begin with ${strange} beside a signature of ${kind}`);
  const [id, date, askedRegion, service, end] = credential.split("/");
  const secret = keys[id];
  if (secret === undefined) return refuse(403, "InvalidAccessKeyId", "nobody has this key");
  if (service !== words.service || end !== words.end) return refuse(403, "AccessDenied", "a credential for something else");
  if (askedRegion !== region) return refuse(400, "AuthorizationHeaderMalformed", `the region must be ${region}`);
  if (token !== undefined && headers[`${words.own}security-token`] !== token)
    return refuse(403, "InvalidToken", "another session token");

  const signed = signedHeaders.split(";");
  if (signed.join() !== [...signed].sort().join())
    return refuse(403, "SignatureDoesNotMatch", "the signed headers must be sorted");
  const must = ["host", ...Object.keys(headers).filter((name) => name.startsWith(words.own))];
  const missing = must.filter((name) => !signed.includes(name));
  if (missing.length > 0) return refuse(403, "AccessDenied", `not signed: ${missing}`);
  const absent = signed.filter((name) => headers[name] === undefined);
  if (absent.length > 0) return refuse(403, "SignatureDoesNotMatch", `signed but not sent: ${absent}`);

  const time = headers[`${words.own}date`] ?? "";
  const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!time.startsWith(date) || !(Math.abs(Date.now() - at) < 15 * 60 * 1000))
    return refuse(403, "RequestTimeTooSkewed", "the clocks differ by more than 15 minutes");

  const payload = headers[`${words.own}content-sha256`];
  if (payload === undefined) return refuse(400, "MissingSecurityHeader", `no ${words.own}content-sha256`);
  if (payload !== "UNSIGNED-PAYLOAD" && payload !== hash(body))
    return refuse(400, "XAmzContentSHA256Mismatch", "the body is not the one that was signed");
  const checksum = headers["x-amz-checksum-sha256"];
  if (checksum !== undefined && checksum !== createHash("sha256").update(body).digest("base64"))
    return refuse(400, "BadDigest", "the body is not the one of the checksum");
  const md5 = headers["content-md5"];
  if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64"))
    return refuse(400, "BadDigest", "the body is not the one of the MD5");

  const [path, query = ""] = url.split("?");
  const request = [
    method,
    canonicalPath(path),
    canonicalQuery(query),
    ...signed.map((name) => `${name}:${headers[name].trim().replace(/ +/g, " ")}`),
    "",
    signedHeaders,
    payload,
  ].join("\n");
  const toSign = [`${kind}-HMAC-SHA256`, time, `${date}/${region}/${words.service}/${words.end}`, hash(request)].join("\n");
  const key = hmac(hmac(hmac(hmac(`${kind}${secret}`, date), region), words.service), words.end);
  return createHmac("sha256", key).update(toSign).digest("hex") === signature
    ? null
    : refuse(403, "SignatureDoesNotMatch", "the signature is another");
}
