// What a viewer would notice: pictures that stand still, a size that changes, a flash and a beep that are not one.

// First time stamps, as the player appended them: {video: seconds, audio: seconds}.
const firstTimes = {};
const addSourceBuffer = MediaSource.prototype.addSourceBuffer;
MediaSource.prototype.addSourceBuffer = function (type) {
  const buffer = addSourceBuffer.call(this, type);
  const kind = type.split("/")[0];
  buffer.addEventListener("updateend", () => {
    if (!(kind in firstTimes) && buffer.buffered.length) firstTimes[kind] = buffer.buffered.start(0);
  });
  return buffer;
};

const BRIGHT = 128;      // of 255: a flash is white, what is there before and after it is black
const LOUD = 0.1;        // of 1
const PATIENCE_MS = 20_000;
const QUIET_S = 0.3;     // without sound before a beep

// Each beep's first sample, in the audio context's seconds.
const LISTENER = `registerProcessor("listener", class extends AudioWorkletProcessor {
  constructor() { super(); this.loudAt = -1; }
  process(inputs) {
    const samples = inputs[0][0] ?? [];
    for (let index = 0; index < samples.length; index++) {
      if (Math.abs(samples[index]) < ${LOUD}) continue;
      const at = currentTime + index / sampleRate;
      if (this.loudAt >= 0 && at - this.loudAt > ${QUIET_S}) this.port.postMessage(at);
      this.loudAt = at;
    }
    return true;
  }
})`;

// Where beeps and flashes are in the media, in seconds: a beep where the player stood when it was heard, a flash where the
// player puts its picture. When a screen shows that picture is not asked: here it is up to one picture off, by chance.
async function senses(video) {
  const beeps = [], flashes = [];
  const context = new AudioContext();
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([LISTENER], { type: "text/javascript" })));
  const listener = new AudioWorkletNode(context, "listener");
  context.createMediaElementSource(video).connect(listener).connect(context.destination);
  listener.port.onmessage = ({ data: at }) => beeps.push(video.currentTime - (context.currentTime - at) * video.playbackRate);
  await context.resume();
  const canvas = new OffscreenCanvas(4, 4).getContext("2d", { willReadFrequently: true });
  let bright = true;
  const look = (now, frame) => {
    canvas.drawImage(video, 0, 0, video.videoWidth / 4, video.videoHeight / 4, 0, 0, 4, 4);
    const light = canvas.getImageData(1, 1, 1, 1).data[1] > BRIGHT;
    if (light && !bright) flashes.push(frame.mediaTime);
    bright = light;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  return { beeps, flashes };
}

// Where a player is, for who reads why a test failed.
function where({ currentTime, readyState, paused, seeking, buffered, seekable }) {
  const ranges = times => Array.from({ length: times.length }, (_, index) => [times.start(index), times.end(index)]);
  return JSON.stringify({ currentTime, readyState, paused, seeking, buffered: ranges(buffered), seekable: ranges(seekable) });
}

// Plays from the first picture on, by one player; `told` gets what goes wrong. `elapsed`: seconds since that picture.
async function begin(name, url, height, told) {
  const video = document.querySelector("video");
  const fail = (fatal, text) => (fatal ? told.fatal : told.minor).push(text);
  const moved = new Promise(done => video.addEventListener("timeupdate", () => {
    if (video.currentTime > 0 && !video.paused && !video.seeking && video.readyState > 2) done();
  }));
  video.addEventListener("error", () => fail(true, video.error.message));
  let begun = false;
  const late = new Promise(done => setTimeout(done, PATIENCE_MS)).then(() => begun || fail(true, `it does not begin: ${where(video)}`));
  const select = await Promise.race([PLAYERS[name](video, url, height, fail), late]);
  await video.play().catch(error => fail(false, String(error)));
  await Promise.race([moved, late]);
  begun = true;
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  video.addEventListener("waiting", () => told.waits.push(`after ${elapsed()} s: ${where(video)}`));
  return { video, select, elapsed };
}

// Plays for `seconds` after the first picture, goes to each of `heights` in turn; says what happened.
async function watch(name, url, heights, seconds) {
  const told = { fatal: [], minor: [], waits: [], seen: [], samples: [], beeps: [], flashes: [] };
  const sensed = await senses(document.querySelector("video"));
  const { video, select, elapsed } = await begin(name, url, heights[0], told);
  let step = 0;
  while (elapsed() < seconds && !told.fatal.length) {
    const due = Math.floor(elapsed() / (seconds / heights.length));
    if (due > step && due < heights.length) select(heights[step = due]);
    told.samples.push([elapsed(), video.currentTime]);
    if (told.seen.at(-1) !== video.videoHeight) told.seen.push(video.videoHeight);
    await new Promise(done => setTimeout(done, 100));
  }
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
  return { ...told, ...sensed, firstTimes, totalVideoFrames, droppedVideoFrames };
}
