// The camera of the visitor's device, and each of its frames once.

/** Plays a camera in a video element. `onEnded`: it was unplugged or taken away. */
export class Camera {
  constructor(video, onEnded) {
    this.video = video;
    this.onEnded = onEnded;
    this.stream = null;
    this.watch = null;
  }

  /** Open a device (or the one that faces `facing`); raises what getUserMedia raises. */
  async open({ deviceId, facing, wanted }) {
    this.close();
    const video = { width: { ideal: wanted.width }, height: { ideal: wanted.height }, frameRate: { ideal: 30 } };
    if (deviceId) video.deviceId = { exact: deviceId };
    else if (facing) video.facingMode = { ideal: facing };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.stream === stream && this.onEnded());
    this.video.srcObject = stream;
    await this.video.play();
    return track.getSettings();
  }

  /** Let go of the device; its light goes out. */
  close() {
    this.watch?.stop();
    this.watch = null;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** Call `take(time)` for every new frame, with the time in ms at which the device captured it. */
  watchFrames(take) {
    this.watch?.stop();
    this.watch = watchVideo(this.video, take);
  }

  get size() {
    return { width: this.video.videoWidth, height: this.video.videoHeight };
  }

  /** Every camera, by id and label; labels are empty until one was allowed. */
  static async devices() {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all.filter((device) => device.kind === "videoinput" && device.deviceId);
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
