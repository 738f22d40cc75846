// What plays in a video element, and each of its frames once.

/** A camera or a film in a video element: `kind`, `label` (what its own picture is called) and `fit` are theirs. */
export class Playing {
  constructor(video) {
    this.video = video;
    this.watch = null;
  }

  /** What is drawn. */
  get drawable() {
    return this.video;
  }

  /** Call `take(time)` for every new frame, with the time in ms at which it was there. */
  watchFrames(take) {
    this.watch?.stop();
    this.watch = watchVideo(this.video, take);
  }

  pause() {
    this.video.pause();
  }

  /** Go on after `pause`; raises what the browser says where it cannot. */
  async resume() {
    await this.video.play();
  }

  close() {
    this.watch?.stop();
    this.watch = null;
    this.video.pause();
    this.video.srcObject = null;
  }
}

/** Call `take(time, now)` for every frame that a video shows. */
export function watchVideo(video, take) {
  let running = true;
  if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) {
    const step = (now, frame) => {
      if (!running) return;
      video.requestVideoFrameCallback(step);
      take(captureTime(frame, now), now);
    };
    video.requestVideoFrameCallback(step);
  } else {
    let last = -1;
    const step = (now) => {
      if (!running) return;
      requestAnimationFrame(step);
      if (video.currentTime !== last && video.readyState >= 2) take(now, now);
      last = video.currentTime;
    };
    requestAnimationFrame(step);
  }
  return { stop: () => (running = false) };
}

/** Some browsers give a capture time on another clock: it is believed only where it can be true. */
function captureTime(frame, now) {
  const time = frame.captureTime;
  return time !== undefined && time <= now && now - time < 500 ? time : now;
}
