// Server-side translation over WebRTC: the tab's WebSocket carries looks and figures, a peer connection the pictures.

import { Connection } from "./connection.js";
import { LookMessages } from "./look.js";
import { watchVideo } from "./video.js";

const GATHERING = 2000; // ms for ICE candidates; on one network they are there at once

/** As WebSocketWay. Frames are free to go at any time: the video encoder drops what it cannot keep up with. */
export class WebRtcWay {
  streams = true; // what stands still has to be sent again and again

  constructor(events, { canvas, remote, ice }) {
    Object.assign(this, { events, canvas, remote, ice, peer: null });
    this.looks = new LookMessages();
    this.connection = new Connection({
      loading: events.loading,
      ready: (message) => this.#ready(message),
      message: (message) => message.type === "stats" && events.stats(message),
      picture: () => {},
      lost: (seconds) => this.#gone(() => events.lost(seconds)),
      problem: (problem) => this.#gone(() => events.problem(problem)),
      lookDone: events.lookDone,
    });
  }

  get free() {
    return this.peer !== null;
  }

  /** The canvas is being recorded: it is only kept in mind what is on it. */
  send(frame) {
    this.sent = frame;
  }

  setLook(look) {
    this.connection.setLook(() => this.looks.message(look));
  }

  close() {
    this.#hangUp();
    this.connection.close();
  }

  async #ready(message) {
    this.looks.forget();
    this.#hangUp();
    const peer = (this.peer = new RTCPeerConnection({ iceServers: this.ice }));
    peer.onconnectionstatechange = () => peer === this.peer && this.#state(peer.connectionState);
    peer.ontrack = ({ track }) => this.#play(track);
    try {
      await this.#offer(peer, message.tab);
    } catch (error) {
      if (peer === this.peer) this.events.problem({ title: "No WebRTC connection", text: error.message });
      return;
    }
    this.events.ready({ engine: message.engine, precision: message.effective_precision, variant: message.variant });
  }

  async #offer(peer, tab) {
    const stream = this.canvas.captureStream();
    const [track] = stream.getVideoTracks();
    track.contentHint = "detail"; // when it gets tight: fewer frames, not smaller ones
    peer.addTransceiver(track, { direction: "sendrecv", streams: [stream] });
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const answer = await fetch("webrtc", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sdp: peer.localDescription.sdp, type: "offer", tab }),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(`${said.what} ${said.remedy ?? ""}`.trim());
    await peer.setRemoteDescription(said);
  }

  #play(track) {
    this.remote.srcObject = new MediaStream([track]);
    this.remote.play().catch(() => {}); // refused only when it was replaced meanwhile
    this.watch = watchVideo(this.remote, () => this.events.picture(this.remote, { ...this.sent, time: null }, {}));
  }

  #state(state) {
    if (state === "failed" || state === "disconnected") {
      this.events.problem({
        title: "The WebRTC connection broke",
        text: "A firewall may be in between. The WebSocket way goes through where this page does.",
      });
    }
  }

  #gone(say) {
    this.#hangUp();
    say();
  }

  #hangUp() {
    this.watch?.stop();
    this.peer?.getSenders().forEach((sender) => sender.track?.stop());
    this.peer?.close();
    this.peer = null;
    this.remote.srcObject = null;
  }
}

function gathered(peer) {
  return new Promise((resolve) => {
    const done = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, GATHERING);
    done();
  });
}
