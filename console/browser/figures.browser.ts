/** What charts say is what their tables hold: shown as a table, saved as CSV, and worked out anew from rows. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { card, choose, chooseSubject, filled, numberOf, tableOf, upright } from "./harness/board";
import { type Visit, launch, signIn } from "./harness/chromium";
import { type Host, endAndErase, startOn } from "./harness/host";
import { CATCH_UP_MS } from "./harness/limits";
import { type Row, download, parseCsv, query } from "./harness/rows";
import { until } from "./harness/until";

const STATION = "00117";
const OF_STATION = `station_id = '${STATION}'`;
/** As in dashboard.toml: the share of its days from which a year is full. */
const FULL = 0.972;
/** Decimals that figures are shown with at most. */
const DIGITS = 2;

let host: Host;
let browser: Browser;
let visit: Visit;
let page: Page;

interface Source {
  scheduled: boolean;
  lag: number;
}

/** Nothing is written any more: what is compared is of one moment. */
async function stillness(): Promise<void> {
  await host.command("pause", "crawl");
  const behind = async () => {
    const { sources } = await host.json<{ sources: Source[] }>("status");
    return sources.reduce((sum, source) => sum + (source.scheduled ? 0 : source.lag), 0);
  };
  await until("records that wait", behind, (many) => many === 0, CATCH_UP_MS);
}

beforeAll(async () => {
  [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
  visit = await signIn(browser, host.link);
  page = visit.page;
  await filled(page);
  await stillness();
  await chooseSubject(page, STATION);
  await filled(page);
});

afterAll(async () => {
  await browser?.close();
  await endAndErase(host);
  expect(visit.problems).toEqual([]);
});

interface ChartOf {
  id: string;
  table: string;
  when: string;
  /** Titles of the sheet's columns after subject and date, and what they hold. */
  columns: Record<string, string>;
}

const SHEETS: ChartOf[] = [
  {
    id: "daily-mean",
    table: "daily_temp_data",
    when: "measurement_date",
    columns: { Mean: "mean_temp", "Min temp": "min_temp", "Max temp": "max_temp", Readings: "readings" },
  },
  {
    id: "pressure",
    table: "daily_othe_data",
    when: "measurement_date",
    columns: { Maximum: "max_pressure", Minimum: "min_pressure", Mean: "mean_pressure", "Pressure readings": "pressure_readings" },
  },
  {
    id: "humidity",
    table: "daily_othe_data",
    when: "measurement_date",
    columns: { Humidity: "mean_humidity", "Dew point": "mean_dewpoint", "Humidity readings": "humidity_readings" },
  },
  {
    id: "yearly",
    table: "yearly_data_temp",
    when: "year",
    columns: {
      "Mean of the daily means": "mean_temp",
      "Mean of all readings": "mean_temp_all",
      Maximum: "max_temp",
      Minimum: "min_temp",
      "Standard deviation of all readings": "mean_deviation",
      "Standard deviation of the daily means": "daily_mean_deviation",
      "Summer days": "summer_days",
      "Hot days": "hot_days",
      "Frost days": "frost_days",
      "Ice days": "ice_days",
      "Heating degrees (20/15)": "heating_degrees_20_15",
      "Heating degrees (15)": "heating_degrees_15",
      "Lowest quality level": "quality",
      "Days with a mean": "days",
    },
  },
];

/** A title without its unit, as headers and files write it. */
const bare = (title: string) => title.replace(/, [^,]+$| \([^()]*[°%a-zA-Z][^()]*\)$/, "");

function near(cell: Row[string] | undefined): unknown {
  return typeof cell === "number" ? expect.closeTo(cell, DIGITS - 0.01) : (cell ?? null);
}

/** The rows with only what a chart shows, by title. */
function wanted(chart: ChartOf, rows: readonly Row[], value: (cell: Row[string] | undefined) => unknown) {
  return rows.map((row) => ({
    Station: STATION,
    at: String(row[chart.when]),
    ...Object.fromEntries(Object.entries(chart.columns).map(([title, column]) => [title, value(row[column])])),
  }));
}

/** Lines as a sheet has them, by title; columns that say what a row is made of are left out. */
function told(chart: ChartOf, head: readonly string[], lines: readonly string[][]) {
  return lines.map((line) => ({
    Station: line[0],
    at: line[1],
    ...Object.fromEntries(
      head.flatMap((title, at) => {
        const name = bare(title) in chart.columns ? bare(title) : title;
        return name in chart.columns ? [[name, numberOf(line[at] ?? "")]] : [];
      }),
    ),
  }));
}

test.each(SHEETS)("$id shown as a table says what its table holds", async (chart) => {
  const rows = await query(host, chart.table, OF_STATION);
  expect(rows.length).toBeGreaterThan(1);
  await choose(page, chart.id, "Show as table");
  const { head, rows: lines } = await tableOf(card(page, chart.id).locator(".sheet table"));
  // The newest come first, and as many as one reads.
  expect(told(chart, head, lines)).toEqual(wanted(chart, rows.slice(-lines.length).reverse(), near));
  await choose(page, chart.id, "Show as chart");
});

test.each(SHEETS)("$id saved as CSV is all of its rows in full", async (chart) => {
  const rows = await query(host, chart.table, OF_STATION);
  const { name, bytes } = await download(page, chart.id, "Download CSV");
  expect(name).toBe(`weather_${chart.id}_${STATION}_all-days.csv`);
  const [head = [], ...lines] = parseCsv(bytes.toString("utf8"));
  expect(told(chart, head, lines)).toEqual(wanted(chart, rows, (cell) => cell ?? null));
  expect(head.at(-1)).toBe("notice");
  expect(lines.every((line) => line.at(-1)?.includes("Deutscher Wetterdienst"))).toBe(true);
});

test.each([
  { id: "max", column: "max_temp", sign: 1 },
  { id: "min", column: "min_temp", sign: -1 },
])("$id is the utmost of its table, and when", async ({ id, column, sign }) => {
  const days = (await query(host, "daily_temp_data", OF_STATION)).filter((row) => row[column] !== null);
  const utmost = days.reduce((best, row) => (sign * Number(row[column]) > sign * Number(best[column]) ? row : best));
  const figure = card(page, id).locator(".figure");
  expect(numberOf(await figure.locator("strong").innerText())).toBe(utmost[column]);
  expect(await figure.locator("time").innerText()).toBe(utmost["measurement_date"]);
});

test.each([
  { id: "above-20", table: "overall_temp", where: "max_temperature > 20" },
  { id: "below-0", table: "overall_temp", where: "min_temperature < 0" },
  { id: "summer-days", table: "daily_temp_data", where: "summer_day = true" },
  { id: "frost-days", table: "daily_temp_data", where: "frost_day = true" },
])("$id counts the days of its table", async ({ id, table, where }) => {
  const days = await query(host, table, `${OF_STATION} and ${where}`);
  const years = await query(host, "yearly_data_temp", OF_STATION);
  const full = years.filter((row) => Number(row["days"]) >= Number(row["expected_days"]) * FULL).map((row) => String(row["year"]));
  const inYear = (year: string) => days.filter((row) => String(row["measurement_date"]).startsWith(year)).length;
  const mean = full.reduce((sum, year) => sum + inYear(year), 0) / full.length;
  const last = String(years.at(-1)?.["year"]);
  expect(numberOf(await card(page, id).locator(".figure strong").innerText())).toBe(days.length);
  const beside = await card(page, id).locator(".beside").innerText();
  expect(beside).toContain(`${last}, not full: ${inYear(last)}`);
  expect(numberOf(/: ([^:]+) a year/.exec(beside)?.[1] ?? "")).toBeCloseTo(mean, 1);
});

test("metadata are those of the station", async () => {
  const [row] = await query(host, "meta_data", OF_STATION, "--sensitive");
  const text = (label: string) => upright(page, "metadata", label);
  expect(await text("Name")).toBe(row?.["station_name"]);
  expect(await text("State")).toBe(row?.["state"]);
  expect(numberOf(await text("Height"))).toBe(row?.["station_height"]);
  expect(numberOf(await text("Valid readings"))).toBe(row?.["entry_count"]);
  expect(await text("Last reading")).toBe(String(row?.["max_date"]).replace("T", " ").replace("Z", " UTC"));
});

test("a figure leads to its row, and from there to the function that wrote it", async () => {
  const when = await card(page, "max").locator(".figure time").innerText();
  await card(page, "max").locator(".figure a").click();
  await page.locator("main h1", { hasText: "daily_temp_data" }).waitFor();
  const rows = page.locator(".table tbody tr");
  await until("rows that are shown", () => rows.count(), (many) => many === 1);
  expect(await rows.first().innerText()).toContain(when);
  await page.locator(".head a", { hasText: "aggregate-temperature" }).click();
  await page.locator("main h1", { hasText: "aggregate-temperature" }).waitFor();
});
