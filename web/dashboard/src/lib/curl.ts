/** A request as a curl command that can be pasted into a POSIX shell. The key itself is never written out. */
export function curlOf(base: string, path: string, body: Record<string, unknown>, withKey: boolean): string {
  const json = JSON.stringify(body).replaceAll("'", "'\\''");
  return [
    `curl ${body['stream'] === true ? '-N ' : ''}${base}${path} \\`,
    ...(withKey ? ['  -H "authorization: Bearer $ASAHI_API_KEY" \\'] : []),
    "  -H 'content-type: application/json' \\",
    `  -d '${json}'`,
  ].join('\n');
}
