// Writes src/api/schema.d.ts, the types of the REST API, from the service's own description.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const python = process.env.PYTHON ?? join(root, ".venv", "bin", "python");
const description = execFileSync(python, ["-m", "headroom.api.description"], { cwd: root, maxBuffer: 1 << 26 });
const types = await openapiTS(description);
writeFileSync(join(root, "dashboard", "src", "api", "schema.d.ts"), `// Made by scripts/client.js.\n${astToString(types)}`);
