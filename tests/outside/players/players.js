// How each player is told to play a URL, to stay on one rung, to go to another, and to show text, which it returns the
// tracks of. Everything else is its own default.
const PLAYERS = {
  async "hls.js"(video, url, height, fail) {
    const hls = new Hls({ autoStartLoad: false });
    const rung = wanted => hls.levels.findIndex(level => level.height === wanted);
    hls.on(Hls.Events.ERROR, (_, error) => fail(error.fatal, `${error.type} ${error.details} ${error.error?.message ?? ""}`));
    await new Promise(parsed => {
      hls.on(Hls.Events.MANIFEST_PARSED, parsed);
      hls.attachMedia(video);
      hls.loadSource(url);
    });
    hls.loadLevel = rung(height);
    hls.startLoad();
    return Object.assign(wanted => { hls.nextLevel = rung(wanted); }, {
      text() { hls.subtitleTrack = 0; hls.subtitleDisplay = true; return () => video.textTracks; },
      captions: () => () => Array.from(video.textTracks, track => Object.assign(track, { mode: "showing" })),
    });
  },

  async shaka(video, url, height, fail) {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    const select = (wanted, clear) =>
      player.selectVariantTrack(player.getVariantTracks().find(track => track.height === wanted), clear, 2);
    player.addEventListener("error", event => fail(event.detail.severity === 2, `${event.detail.code} ${event.detail.data}`));
    await player.attach(video);
    player.configure({ abr: { enabled: false, useNetworkInformation: false, defaultBandwidthEstimate: 1 } });
    await player.load(url);
    return Object.assign(wanted => select(wanted, true), {
      text() { player.selectTextTrack(player.getTextTracks()[0]); return () => video.textTracks; },
      captions() { return this.text(); },
    });
  },

  async "video.js"(video, url, height, fail) {
    const player = videojs(video, { html5: { vhs: { overrideNative: true, enableLowInitialPlaylist: true } } });
    const type = url.endsWith(".mpd") ? "application/dash+xml" : "application/vnd.apple.mpegurl";
    player.on("error", () => fail(true, JSON.stringify(player.error())));
    player.src({ src: url, type });
    player.play();  // before it has anything: a live stream that begins to play later stays where it is
    await new Promise(loaded => player.one("loadedmetadata", loaded));
    const select = wanted => {
      // At least one must be enabled at any time.
      const all = player.tech(true).vhs.representations().sort(one => (one.height === wanted ? -1 : 1));
      all.forEach(one => one.enabled(one.height === wanted));
    };
    video.addEventListener("playing", () => select(height), { once: true });
    return Object.assign(select, {
      text() {
        Array.from(player.textTracks()).find(track => track.kind === "subtitles").mode = "showing";
        return () => player.textTracks();
      },
    });
  },

  async "dash.js"(video, url, height, fail) {
    const player = dashjs.MediaPlayer().create();
    player.on(dashjs.MediaPlayer.events.ERROR, event => fail(true, JSON.stringify(event.error)));
    player.initialize();
    player.updateSettings({
      streaming: {
        abr: { autoSwitchBitrate: { video: false, audio: false }, initialBitrate: { video: 1, audio: 1 } },
        buffer: { fastSwitchEnabled: true },
      },
    });
    player.attachView(video);
    player.attachSource(url);
    await new Promise(ready => player.on(dashjs.MediaPlayer.events.STREAM_INITIALIZED, ready));
    return Object.assign(wanted => {
      const there = player.getRepresentationsByType("video").find(one => one.height === wanted);
      player.setRepresentationForTypeById("video", there.id);
    }, {
      text() { player.setTextTrack(0); return () => video.textTracks; },
    });
  },

  // No player: a whole file, as a browser plays it. What it tells is the error of the measurement.
  async browser(video, url) {
    video.crossOrigin = "anonymous";
    video.src = url;
    return () => {};
  },
};
