// The text that a player shows, and where the flashes of the pictures are.

// Plays for `seconds` after the first picture, with the first subtitles ("text") or "captions"; says which cues were active.
async function reading(name, url, height, what, seconds) {
  const told = { fatal: [], minor: [], waits: [], samples: [], beeps: [], flashes: [] };
  const sensed = await senses(document.querySelector("video"));
  const { video, select, elapsed } = await begin(name, url, height, told);
  const tracks = select[what]();
  const shown = new Map();
  while (elapsed() < seconds && !told.fatal.length) {
    told.samples.push([elapsed(), video.currentTime]);
    for (const track of Array.from(tracks()))
      for (const { startTime, endTime, text } of Array.from(track.activeCues ?? []))
        if (track.mode === "showing") shown.set(`${startTime} ${text}`, [startTime, endTime, text]);
    await new Promise(done => setTimeout(done, 50));
  }
  return { ...told, ...sensed, shown: [...shown.values()] };
}
