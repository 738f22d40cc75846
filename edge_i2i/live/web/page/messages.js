// What people read when something is not there: a title, and what they can do about it.

/** Why the camera cannot be used here at all, or null. `where`: window, or what stands for it in a test. */
export function insecure(where) {
  if (where.isSecureContext && where.navigator.mediaDevices?.getUserMedia) return null;
  if (where.isSecureContext) {
    return message("This browser has no camera access", "Open the page in a current Firefox, Chrome, Edge or Safari.");
  }
  const local = `http://localhost:${where.location.port || 80}`;
  return message(
    "Browsers give the camera to secure pages only",
    `This page came over plain HTTP from ${where.location.hostname}. Open it through HTTPS, or forward the port over ` +
      `SSH (ssh -L ${where.location.port || 80}:localhost:${where.location.port || 80} …) and open ${local}.`,
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

export const NO_BROWSER_RUNTIME = message(
  "The browser's runtime is not installed",
  "Whoever runs this page can add it: make web (or python -m edge_i2i.live.web.vendor), then reload.",
);

/** The server is not there; it is tried again. */
export function serverLost(seconds) {
  return message("The server is gone", `Trying again ${seconds < 1 ? "now" : `in ${Math.round(seconds)} s`} …`);
}

function message(title, text) {
  return Object.freeze({ title, text });
}
