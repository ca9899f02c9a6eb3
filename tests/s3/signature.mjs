// AWS Signature Version 4 worked out from the request alone, after
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: nothing of the client's is used.
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

/**
 * What is wrong with a request, as {status, code, message}; null when its signature is good.
 * `keys`: secrets by access key id; `token`: the session token that must come along, if any.
 */
export function checkSignature({ method, url, headers, body }, { keys, region, token }) {
  const refuse = (status, code, message) => ({ status, code, message });
  const found = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
    headers.authorization ?? "",
  );
  if (!found) return refuse(403, "AccessDenied", "no signature of version 4");
  const [, credential, signedHeaders, signature] = found;
  const [id, date, askedRegion, service, end] = credential.split("/");
  const secret = keys[id];
  if (secret === undefined) return refuse(403, "InvalidAccessKeyId", "nobody has this key");
  if (service !== "s3" || end !== "aws4_request") return refuse(403, "AccessDenied", "a credential for something else");
  if (askedRegion !== region) return refuse(400, "AuthorizationHeaderMalformed", `the region must be ${region}`);
  if (token !== undefined && headers["x-amz-security-token"] !== token)
    return refuse(403, "InvalidToken", "another session token");

  const signed = signedHeaders.split(";");
  if (signed.join() !== [...signed].sort().join())
    return refuse(403, "SignatureDoesNotMatch", "the signed headers must be sorted");
  const must = ["host", ...Object.keys(headers).filter((name) => name.startsWith("x-amz-"))];
  const missing = must.filter((name) => !signed.includes(name));
  if (missing.length > 0) return refuse(403, "AccessDenied", `not signed: ${missing}`);
  const absent = signed.filter((name) => headers[name] === undefined);
  if (absent.length > 0) return refuse(403, "SignatureDoesNotMatch", `signed but not sent: ${absent}`);

  const time = headers["x-amz-date"] ?? "";
  const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!time.startsWith(date) || !(Math.abs(Date.now() - at) < 15 * 60 * 1000))
    return refuse(403, "RequestTimeTooSkewed", "the clocks differ by more than 15 minutes");

  const payload = headers["x-amz-content-sha256"];
  if (payload === undefined) return refuse(400, "MissingSecurityHeader", "no x-amz-content-sha256");
  if (payload !== "UNSIGNED-PAYLOAD" && payload !== hash(body))
    return refuse(400, "XAmzContentSHA256Mismatch", "the body is not the one that was signed");
  const checksum = headers["x-amz-checksum-sha256"];
  if (checksum !== undefined && checksum !== createHash("sha256").update(body).digest("base64"))
    return refuse(400, "BadDigest", "the body is not the one of the checksum");

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
  const toSign = ["AWS4-HMAC-SHA256", time, `${date}/${region}/s3/aws4_request`, hash(request)].join("\n");
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), "s3"), "aws4_request");
  return createHmac("sha256", key).update(toSign).digest("hex") === signature
    ? null
    : refuse(403, "SignatureDoesNotMatch", "the signature is another");
}
