// What people read when something is not there: a title, and what they can do about it.

export const READY = message(
  "Your camera, translated live",
  "Or pictures and films from your disk: choose one, or drop it here. They go to the computer that runs this page and to nobody else. Nothing is kept.",
);

export const STOPPED = message("Stopped", "The camera is off, and no file is open.");

const DISK = "Pictures and films from your disk work all the same.";

/** Why the camera cannot be used here at all, or null. `where`: window, or what stands for it in a test. */
export function noCamera(where) {
  if (where.isSecureContext && where.navigator.mediaDevices?.getUserMedia) return null;
  if (where.isSecureContext) {
    return message("This browser has no camera access", `Open the page in a current Firefox, Chrome, Edge or Safari. ${DISK}`);
  }
  const port = where.location.port || 80;
  return message(
    "Browsers give the camera to secure pages only",
    `This page came over plain HTTP from ${where.location.hostname}. ${DISK} For the camera, open it through HTTPS, or ` +
      `forward the port over SSH (ssh -L ${port}:localhost:${port} …) and open http://localhost:${port}.`,
  );
}

const CAMERA = {
  NotAllowedError: [
    "The camera is blocked",
    "The browser, or the system, refused it. Allow the camera for this page (the sign beside its address), then try again.",
  ],
  NotFoundError: ["No camera was found", "Plug one in, or switch it on, then try again."],
  OverconstrainedError: ["That camera is not there any more", "Choose another device, then try again."],
  NotReadableError: ["The camera is in use", "Another program holds it. Close that one, then try again."],
};
CAMERA.SecurityError = CAMERA.NotAllowedError;
CAMERA.AbortError = CAMERA.NotReadableError;

/** What an error of getUserMedia means. */
export function cameraRefused(error) {
  const [title, text] = CAMERA[error.name] ?? ["The camera did not start", error.message || String(error.name)];
  return message(title, text);
}

export const CAMERA_ENDED = message("The camera is gone", "It was unplugged, or taken by another program. Connect it, then try again.");

/** Why a bundle's network does not run in the visitor's browser, or null. */
export function noBrowserWay({ browser, wasm }) {
  if (!browser) return "This browser: the bundle has no FP32 graphs, which browsers run.";
  if (!wasm) return "This browser: its runtime is not on the server; whoever runs it can add it (make web).";
  return null;
}

/** A file that was chosen or dropped cannot be shown. */
export function fileRefused(error) {
  return message("That file cannot be shown", error.message);
}

/** The server is not there; it is tried again. */
export function serverLost(seconds) {
  return message("The server is gone", `Trying again ${seconds < 1 ? "now" : `in ${Math.round(seconds)} s`} …`);
}

function message(title, text) {
  return Object.freeze({ title, text });
}
