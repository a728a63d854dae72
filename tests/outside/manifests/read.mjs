// A manifest on standard input, its segments by mpd-parser on standard output: what Video.js would fetch.
import { readFileSync } from "node:fs";
import { parse, parseUTCTiming } from "mpd-parser";

const [base, now] = process.argv.slice(2);
const text = readFileSync(0, "utf8");
const read = parse(text, { manifestUri: base, NOW: Number(now) });
const sound = Object.values(read.mediaGroups.AUDIO).flatMap(group => Object.values(group).flatMap(one => one.playlists));
const told = playlist => ({
  id: playlist.attributes.NAME,
  urls: playlist.segments.map(segment => segment.resolvedUri),
  breaks: playlist.discontinuityStarts,
});
console.log(JSON.stringify({ clock: parseUTCTiming(text), tracks: [...read.playlists, ...sound].map(told) }));
