// A typed client of the API, generated from the server's own description: it creates, lists, edits and deletes. That it
// compiles is half of the test.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string | undefined>; exitCode: number };

const baseUrl = process.env.BUGLE_URL ?? "";
const api_key = process.env.BUGLE_KEY ?? "";

function check(ok: boolean, what: string): asserts ok {
  if (!ok) throw new Error(what);
}

const client = createClient<paths>({ baseUrl });

const login = await client.PUT("/v2/api_auth", { body: { data: { api_key } } });
check(login.data !== undefined, `login: ${login.response.status}`);
const token: string = login.data.auth_token ?? "";
const account: string = login.data.data.account_id;
client.use({
  onRequest({ request }) {
    request.headers.set("X-Auth-Token", token);
    return request;
  },
});

type User = components["schemas"]["users.document"];

const path = { account };
const created = await client.PUT("/v2/accounts/{account}/users", {
  params: { path },
  body: { data: { first_name: "Grace", last_name: "Hopper", priv_level: "user", caller_id: { internal: { number: "1001" } } } },
});
check(created.response.status === 201 && created.data !== undefined, `create: ${created.response.status}`);
const grace: User = created.data.data;
const id: string = grace.id;

// What the schema does not allow does not compile.
await client.PUT("/v2/accounts/{account}/users", {
  params: { path },
  // @ts-expect-error a name is a string
  body: { data: { first_name: 7 } },
});
await client.PUT("/v2/accounts/{account}/users", {
  params: { path },
  // @ts-expect-error there is no such privilege
  body: { data: { first_name: "Eve", priv_level: "root" } },
});
// @ts-expect-error there is no such path
await client.GET("/v2/accounts/{account}/nothing", { params: { path } });

const listed = await client.GET("/v2/accounts/{account}/users", {
  params: { path, query: { page_size: 10, filters: { filter_last_name: "Hopper" } } },
});
check(listed.data !== undefined && listed.data.data.length === 1, `list: ${listed.response.status} ${JSON.stringify(listed.data?.data)}`);
check(listed.data.data[0]?.first_name === "Grace" && listed.data.page_size === 1, "list: another user");

const revision = created.data.revision ?? "";
const edited = await client.PATCH("/v2/accounts/{account}/users/{id}", {
  params: { path: { account, id }, header: { "If-Match": `"${revision}"` } },
  body: { data: { last_name: "Murray", caller_id: null } },
});
check(edited.data !== undefined && edited.data.data.last_name === "Murray", `edit: ${edited.response.status}`);
const stale = await client.PATCH("/v2/accounts/{account}/users/{id}", {
  params: { path: { account, id }, header: { "If-Match": `"${revision}"` } },
  body: { data: { last_name: "Lost" } },
});
check(stale.error !== undefined && stale.response.status === 412, `stale edit: ${stale.response.status}`);
check(stale.error.message === "precondition_failed", `stale edit: ${stale.error.message}`);

const replaced = await client.POST("/v2/accounts/{account}/users/{id}", {
  params: { path: { account, id } },
  body: { data: { ...edited.data.data, first_name: "Grace M." } },
});
check(replaced.data?.data.first_name === "Grace M.", `replace: ${replaced.response.status}`);

const history = await client.GET("/v2/accounts/{account}/users/{id}/history", { params: { path: { account, id } } });
const actions = history.data?.data.map((entry) => entry.action).join(" ");
check(actions === "edited edited created", `history: ${actions}`);

const deleted = await client.DELETE("/v2/accounts/{account}/users/{id}", { params: { path: { account, id } } });
check(deleted.response.status === 200, `delete: ${deleted.response.status}`);
const gone = await client.GET("/v2/accounts/{account}/users/{id}", { params: { path: { account, id } } });
check(gone.response.status === 404 && gone.error?.message === "bad_identifier", `gone: ${gone.response.status}`);
console.log("typed client: ok");
