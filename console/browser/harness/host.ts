/** The program under test: started on a folder of its own, asked by its own command line, and told to end. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { constants } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { COMMAND_MS, END_MS, FILL_MS, START_MS } from "./limits";

const CONSOLE = resolve(import.meta.dirname, "../..");
export const APPLICATION = resolve(CONSOLE, "..");
export const PROGRAM = resolve(CONSOLE, process.env["ISOBAR"] ?? "../target/release/isobar");
export const MANIFEST = join(APPLICATION, "spin.toml");

const run = promisify(execFile);
const MOST_OUTPUT = 64 * 1024 * 1024;

/** A new folder that nothing else uses. */
export function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "isobar-browser-"));
}

/** Fills a folder with what the demo has when it has caught up. */
export async function fill(folder: string): Promise<void> {
  const args = ["up", "--demo", "--until-idle", "--data-dir", folder, "--listen", "127.0.0.1:0", "--manifest", MANIFEST];
  await run(PROGRAM, args, { cwd: CONSOLE, timeout: FILL_MS, maxBuffer: MOST_OUTPUT });
}

interface Started {
  manifest: string;
  demo: boolean;
}

const DEMO: Started = { manifest: MANIFEST, demo: true };

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  took_ms: number;
}

export class Host {
  private constructor(
    private readonly child: ChildProcess,
    readonly folder: string,
    /** As `http://127.0.0.1:PORT`. */
    readonly origin: string,
    private readonly how: Started,
  ) {}

  /** Signs a browser in, once. */
  link = "";

  /** Starts the program on a folder. */
  static async start(folder: string, how: Started = DEMO): Promise<Host> {
    const args = ["up", ...(how.demo ? ["--demo"] : []), "--data-dir", folder, "--listen", "127.0.0.1:0", "--manifest", how.manifest];
    const child = spawn(PROGRAM, args, { cwd: CONSOLE, stdio: ["ignore", "ignore", "pipe"] });
    // Tests that break off leave nothing running.
    process.once("exit", () => child.kill("SIGTERM"));
    try {
      const host = new Host(child, folder, await originOf(child), how);
      // The host prints a link by itself to a terminal alone.
      host.link = await host.open();
      return host;
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** What a command of the program says, asked of this host. */
  async command(...args: string[]): Promise<string> {
    return this.commandOf(this.how.manifest, ...args);
  }

  /** As `command`, of one that reads what is secret from its standard input. */
  async tell(secret: string, ...args: string[]): Promise<void> {
    const asked = run(PROGRAM, [...args, ...this.about(this.how.manifest)], { cwd: CONSOLE, timeout: COMMAND_MS });
    asked.child.stdin?.end(secret);
    await asked;
  }

  /** The flags that say which application is meant. */
  private about(manifest: string): string[] {
    return ["--manifest", manifest, "--data-dir", this.folder, ...(this.how.demo ? ["--demo"] : [])];
  }

  /** As `command`, by another manifest. */
  async commandOf(manifest: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(PROGRAM, [...args, ...this.about(manifest)], { cwd: CONSOLE, timeout: COMMAND_MS, maxBuffer: MOST_OUTPUT });
    return stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.command(...args, "--json")) as T;
  }

  /** Another link, as good for one sign-in as the first. */
  async open(): Promise<string> {
    const link = /http:\S+#sign-in=\S+/.exec(await this.command("open"))?.[0];
    if (!link) throw new Error("`isobar open` printed no link");
    return link;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Tells the host to end, and how it did. */
  async end(): Promise<Ended> {
    const began = performance.now();
    if (this.hasEnded) throw new Error(`the host had ended before: ${this.child.exitCode}`);
    const ended = new Promise<void>((done) => this.child.once("exit", () => done()));
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), END_MS);
    await ended;
    clearTimeout(late);
    return { code: this.child.exitCode, signal: this.child.signalCode, took_ms: Math.round(performance.now() - began) };
  }
}

/** Reads what the host prints until it says where it listens; what it prints later is read and let go. */
function originOf(child: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    let told = "";
    const late = setTimeout(() => fail(new Error(`no address within ${START_MS} ms:\n${told}`)), START_MS);
    child.once("error", fail);
    child.once("exit", (code) => fail(new Error(`the host ended with ${code}:\n${told}`)));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      told = (told + text).slice(-16_384);
      const origin = /isobar is up: (http:\S+)\s/.exec(told)?.[1];
      if (!origin) return;
      clearTimeout(late);
      done(origin);
    });
  });
}

/** A host on a copy of a filled folder. */
export async function startOn(filled: string): Promise<Host> {
  const folder = await newFolder();
  try {
    await cp(filled, folder, { recursive: true, mode: constants.COPYFILE_FICLONE });
    return await Host.start(folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Ends a host and lets go of its folder. */
export async function endAndErase(host: Host): Promise<Ended> {
  const ended = await host.end();
  await rm(host.folder, { recursive: true, force: true });
  return ended;
}
