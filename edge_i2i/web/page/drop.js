// Files that are dropped anywhere on the page.

/** Call `take(file)` with what is dropped where nothing else takes it; `over(whether)` while one is held above. */
export function watchDrops(target, take, over) {
  let depth = 0; // of elements that were entered and not left
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  const enter = (by) => (event) => {
    if (!holds(event)) return;
    depth = Math.max(0, depth + by);
    over(depth > 0);
  };
  target.addEventListener("dragenter", enter(1));
  target.addEventListener("dragleave", enter(-1));
  target.addEventListener("dragover", (event) => holds(event) && event.preventDefault());
  target.addEventListener("drop", (event) => {
    if (!holds(event)) return;
    depth = 0;
    over(false);
    const taken = event.defaultPrevented; // by the place for a look
    event.preventDefault(); // else the browser leaves the page for the file
    if (!taken && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}
