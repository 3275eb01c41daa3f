import { afterEach, describe, expect, it, vi } from "vitest";
import { Refused, askSensitive, exportAddress, get, getDashboard, getRows, getShown, named, onSignedOut, post, withQuery } from "./api";

function answers(status: number, body: unknown) {
  const asked = vi.fn(async (_path: string, _init?: RequestInit) => new Response(JSON.stringify(body), { status }));
  vi.stubGlobal("fetch", asked);
  return asked;
}

afterEach(() => {
  vi.unstubAllGlobals();
  askSensitive(false);
  onSignedOut(() => {});
});

describe("addresses", () => {
  it("leave out what is not set, and hold any name", () => {
    expect(withQuery("/rows", { where: "a = 'b'", limit: 5, order: null, offset: undefined, columns: "" })).toBe("/rows?where=a+%3D+%27b%27&limit=5");
    expect(withQuery("/rows")).toBe("/rows");
    expect(named`/tables/${"a/b"}/rows`).toBe("/tables/a%2Fb/rows");
  });

  it("ask for what is sensitive only where one may see it", async () => {
    const asked = answers(200, {});
    await getShown("/x", { limit: 1 });
    askSensitive(true);
    await getShown("/x", { limit: 1 });
    expect(asked.mock.calls.map(([path]) => path)).toEqual(["/api/v1/x?limit=1", "/api/v1/x?limit=1&sensitive=true"]);
    expect(exportAddress("days", "csv")).toBe("/api/v1/tables/days/export?format=csv&sensitive=true");
  });

  it("hold how rows are ordered", async () => {
    const asked = answers(200, { columns: [], rows: [], notice: null, more: false });
    await getRows("days", { order: "-mean", offset: 100, limit: 10 });
    expect(asked.mock.calls[0]?.[0]).toBe("/api/v1/tables/days/rows?order=-mean&offset=100&limit=10&shared=true");
  });
});

describe("requests that change something", () => {
  it("say that they come from this page", async () => {
    const asked = answers(200, null);
    await post("/session/view", { as_viewer: true });
    const init = asked.mock.calls[0]?.[1];
    expect(init).toMatchObject({ method: "POST", body: '{"as_viewer":true}', headers: { "x-isobar-page": "1" } });
  });
});

describe("refusals", () => {
  it("say why and what to do", async () => {
    answers(400, { detail: "no such column", hint: "did you mean `mean`?" });
    await expect(get("/x")).rejects.toMatchObject({ status: 400, message: "no such column", hint: "did you mean `mean`?" });
  });

  it("tell when somebody is signed out", async () => {
    const out = vi.fn();
    onSignedOut(out);
    answers(401, { detail: "sign in", sign_in: ["link", "password"] });
    await expect(get("/session")).rejects.toMatchObject({ status: 401, ways: ["link", "password"] });
    expect(out).not.toHaveBeenCalled();
    await expect(get("/status")).rejects.toBeInstanceOf(Refused);
    expect(out).toHaveBeenCalledOnce();
  });

  it("say what the status is where the words are not the host's", async () => {
    vi.stubGlobal("fetch", async () => new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
    await expect(get("/x")).rejects.toMatchObject({ status: 502, message: "the host answered 502 Bad Gateway", hint: null, ways: [] });
  });

  it("tell when the host is away", async () => {
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("failed")));
    await expect(get("/x")).rejects.toMatchObject({ status: 0, message: "the host does not answer" });
  });

  it("are none where an application has no dashboard", async () => {
    answers(404, { detail: "there is none" });
    expect(await getDashboard()).toBeNull();
    answers(500, { detail: "broken" });
    await expect(getDashboard()).rejects.toMatchObject({ message: "broken" });
  });
});
