/** What of a manifest is sent with a function's component: what it says of the function and of what that refers to. Pure. */

import { type TomlTable, type TomlValue, parse, stringify } from "smol-toml";

/** What is below `[application.trigger.isobar]` and concerns a function. */
const SETTINGS = ["topics", "tables", "grants", "limits"];
const TEMPLATE = /\{\{\s*(.*?)\s*\}\}/g;

function isTable(value: TomlValue | undefined): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The table at `path`; an empty one where there is none. */
function at(table: TomlTable, ...path: string[]): TomlTable {
  const [key, ...rest] = path;
  if (key === undefined) return table;
  const inner = Object.hasOwn(table, key) ? table[key] : undefined;
  return isTable(inner) ? at(inner, ...rest) : {};
}

function retain(table: TomlTable, kept: ReadonlySet<string>): void {
  for (const key of Object.keys(table)) if (!kept.has(key)) delete table[key];
}

const strings = (value: TomlValue | undefined) => (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string");

/** Variables that are named in `{{ … }}`. */
function variablesIn(component: TomlTable): Set<string> {
  const texts = [...Object.values(at(component, "variables")), ...strings(component["allowed_outbound_hosts"])];
  return new Set(strings(texts).flatMap((text) => [...text.matchAll(TEMPLATE)].map(([, name]) => name ?? "")));
}

/** The value of a secret is the operator's, and sent to nobody. */
function withoutSecrets(variables: TomlTable): void {
  for (const variable of Object.values(variables)) {
    if (!isTable(variable) || variable["secret"] !== true || !("default" in variable)) continue;
    delete variable["default"];
    variable["required"] = true;
  }
}

function triggersOf(document: TomlTable, name: string): TomlTable[] {
  const all = at(document, "trigger")["isobar"];
  return Array.isArray(all) ? all.filter(isTable).filter((trigger) => trigger["component"] === name) : [];
}

/** The part of `text`, a manifest, that concerns the function `name`, as `isobar deploy` sends it. */
export function partOf(text: string, name: string): string {
  // Whole numbers stay apart from those with a point.
  const document = parse(text, { integersAsBigInt: true });
  const component = at(document, "component", name);
  const triggers = triggersOf(document, name);
  if (triggers.length === 0 || Object.keys(component).length === 0) throw new Error(`the manifest has no function \`${name}\``);
  const settings = at(document, "application", "trigger", "isobar");
  const grants = at(settings, "grants", name);
  const topics = triggers.flatMap((trigger) => [...strings(trigger["topic"]), ...strings(trigger["dead_letters"])]);
  const own = new Set([name]);
  retain(at(document, "component"), own);
  // How it is built is the business of who builds it.
  delete component["build"];
  retain(at(document, "variables"), variablesIn(component));
  withoutSecrets(at(document, "variables"));
  document["trigger"] = { isobar: triggers };
  retain(at(document, "application", "trigger"), new Set(["isobar"]));
  retain(settings, new Set(SETTINGS));
  retain(at(settings, "topics"), new Set([...topics, ...strings(grants["publish"])]));
  retain(at(settings, "tables"), new Set(Object.keys(at(grants, "tables"))));
  retain(at(settings, "grants"), own);
  retain(at(settings, "limits"), own);
  return stringify(document, { numbersAsFloat: true });
}
