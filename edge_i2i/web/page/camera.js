// The camera of the visitor's device.

import { Playing } from "./video.js";

/** `onEnded`: it was unplugged or taken away. */
export class Camera extends Playing {
  kind = "camera";
  label = "camera";
  fit = "crop";
  stream = null;

  constructor(video, onEnded) {
    super(video);
    this.onEnded = onEnded;
  }

  /** Open a device (or the one that faces `facing`); raises what getUserMedia raises. */
  async open({ deviceId, facing, wanted }) {
    const video = { width: { ideal: wanted.width }, height: { ideal: wanted.height }, frameRate: { ideal: 30 } };
    if (deviceId) video.deviceId = { exact: deviceId };
    else if (facing) video.facingMode = { ideal: facing };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.stream === stream && this.onEnded());
    this.video.srcObject = stream;
    await this.video.play();
    this.settings = track.getSettings();
  }

  /** Whether its picture is shown as in a mirror: not that of a camera that looks away from the visitor. */
  get mirrored() {
    return this.settings.facingMode !== "environment";
  }

  /** Let go of the device; its light goes out. */
  close() {
    super.close();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
  }

  /** Every camera, by id and label; labels are empty until one was allowed. */
  static async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return all.filter((device) => device.kind === "videoinput" && device.deviceId);
  }
}
