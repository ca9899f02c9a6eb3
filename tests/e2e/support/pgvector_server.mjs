// A PostgreSQL with pgvector in one process (WebAssembly), for machines whose PostgreSQL has no pgvector: for behaviour,
// never for speed. Prints "ready" once it takes connections. Usage: node pgvector_server.mjs PORT
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";

const db = await PGlite.create({ extensions: { vector } });
const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port: Number(process.argv[2]), maxConnections: 8 });
await server.start();
process.stdout.write("ready\n");
