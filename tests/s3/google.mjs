// Google's XML API before a server of S3's: headers that begin with x-goog-, generations of objects in place of
// conditions by etag, no conditions where parts are put together. After
// https://cloud.google.com/storage/docs/xml-api/reference-headers and .../multipart-uploads.

/** Changes the names of headers: "x-goog-meta-a" is "x-amz-meta-a" to the server behind. */
const renamed = (headers, from, to) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.startsWith(from) ? to + name.slice(from.length) : name, value]),
  );

/** What answers requests in Google's words. `answer` serves S3's, `inTurn` one after the other, `error` makes errors. */
export function google({ answer, inTurn, error }) {
  const generations = new Map(); // by "/bucket/key"
  let latest = 1_700_000_000_000_000;

  const withGenerations = (reply, bucket) => {
    const text = reply.body.toString("utf8").replace(/<Key>(.*?)<\/Key>/gs, (all, written) => {
      const key = decodeURIComponent(written.replaceAll("+", " "));
      return `${all}<Generation>${generations.get(`${bucket}/${key}`) ?? 0}</Generation>`;
    });
    return { ...reply, body: Buffer.from(text) };
  };

  return async ({ method, path, headers, body }) => {
    const condition = headers["x-goog-if-generation-match"];
    const behind = renamed(headers, "x-goog-", "x-amz-");
    delete behind["x-amz-if-generation-match"];
    behind.authorization = behind.authorization
      .replace("GOOG4-", "AWS4-")
      .replace("/auto/storage/goog4_request", "/us-east-1/s3/aws4_request")
      .replaceAll("x-goog-", "x-amz-");
    const [place, query = ""] = path.split("?");
    const object = decodeURIComponent(place);
    const failed = () => error(412, "PreconditionFailed", "At least one of the conditions did not hold");
    const holds = () => condition === undefined || String(generations.get(object) ?? 0) === condition;
    const forward = async () => {
      const reply = await answer({ method, path, headers: behind, body });
      return { ...reply, headers: renamed(reply.headers, "x-amz-", "x-goog-") };
    };
    const told = (reply) => {
      const generation = generations.get(object);
      if (reply.status < 300 && generation !== undefined) reply.headers["x-goog-generation"] = String(generation);
      return reply;
    };
    if (/(^|&)uploads=/.test(query) || (method === "PUT" && query.includes("uploadId="))) return forward();
    if (query.includes("uploadId=") && condition !== undefined)
      return error(400, "InvalidArgument", "preconditions are not supported where parts are put together");
    if (method === "GET" && query.includes("list-type=2")) return withGenerations(await forward(), object);
    if (method === "GET" || method === "HEAD") return holds() ? told(await forward()) : failed();
    return inTurn(async () => {
      if (!holds()) return failed();
      const reply = await forward();
      if (reply.status < 300 && method !== "DELETE") generations.set(object, ++latest);
      if (reply.status < 300 && method === "DELETE" && query === "") generations.delete(object);
      return told(reply);
    });
  };
}
