// Downloads of what is shown: as CSV, and as a picture that says itself what it is of and where its data come from.

import { paint } from "./paint";

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function saveText(text: string, name: string): void {
  save(new Blob([text], { type: "text/csv;charset=utf-8" }), name);
}

export interface PictureWords {
  title: string;
  /** The subjects and the period. */
  lines: string[];
  /** The note and the notices. */
  foot: string[];
}

/** Saves a picture of what `body` shows. */
export async function savePicture(body: HTMLElement, words: PictureWords, name: string): Promise<void> {
  const canvas = paint(body, words);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  if (blob) save(blob, name);
}
