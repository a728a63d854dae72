// The clock in the picture (see clock.py), against the clock of this machine.

const COLUMNS = 8, ROWS = 4;
const CELL = 8;  // pixels of the canvas

// Milliseconds that the picture was taken ago; null where no clock can be read.
function age(context, video) {
  context.drawImage(video, 0, 0, COLUMNS * CELL, ROWS * CELL);
  const { data, width } = context.getImageData(0, 0, COLUMNS * CELL, ROWS * CELL);
  const bits = Array.from({ length: COLUMNS * ROWS }, (_, index) => {
    const x = index % COLUMNS * CELL + CELL / 2, y = Math.floor(index / COLUMNS) * CELL + CELL / 2;
    return data[4 * (y * width + x)] > BRIGHT ? 1 : 0;
  });
  const number = bits.reduce((value, bit) => value * 2 + bit, 0);
  const taken = Math.floor(number / 256), check = number % 256;
  if (((taken >> 16) ^ (taken >> 8 & 255) ^ (taken & 255)) !== check) return null;
  return (Date.now() - taken) & 0xffffff;
}

// Plays for `seconds` after the first picture; says how late each picture was.
async function lateness(name, url, height, seconds) {
  const told = { fatal: [], minor: [], waits: [], samples: [], late: [], unread: 0 };
  const context = new OffscreenCanvas(COLUMNS * CELL, ROWS * CELL).getContext("2d", { willReadFrequently: true });
  const { video, elapsed } = await begin(name, url, height, told);
  const look = () => {
    const late = age(context, video);
    if (late === null) told.unread++;
    else told.late.push([elapsed(), late / 1000]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  while (elapsed() < seconds && !told.fatal.length) {
    told.samples.push([elapsed(), video.currentTime]);
    await new Promise(done => setTimeout(done, 100));
  }
  return told;
}
