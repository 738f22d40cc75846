// How a camera's picture is laid into the network's size; as edge_i2i/media/geometry.py.

/** The size of what can be drawn: a video's picture, an image or a canvas. */
export function sizeOf(drawable) {
  return { width: drawable.videoWidth ?? drawable.width, height: drawable.videoHeight ?? drawable.height };
}

/** Where a picture lies: `taken` of the source, `held` in the network's picture. Sizes are {width, height}. */
export function place(source, model, fit) {
  const taken = fit === "crop" ? inside(model, source) : source;
  const held = fit === "letterbox" ? inside(source, model) : model;
  return { taken: centred(taken, source), held: centred(held, model), model };
}

function inside(shape, frame) {
  if (shape.height * frame.width >= shape.width * frame.height) {
    return { width: Math.max(1, Math.round((shape.width * frame.height) / shape.height)), height: frame.height };
  }
  return { width: frame.width, height: Math.max(1, Math.round((shape.height * frame.width) / shape.width)) };
}

function centred(inner, outer) {
  return {
    x: Math.floor((outer.width - inner.width) / 2),
    y: Math.floor((outer.height - inner.height) / 2),
    width: inner.width,
    height: inner.height,
  };
}

/**
 * Draw a picture into the network's. What is left over beside it is filled with its own mirror images: flat bars would
 * shift the statistics that instance norm divides by.
 */
export function lay(context, image, placement) {
  const { taken, held, model } = placement;
  const across = Math.ceil(held.x / held.width);
  const down = Math.ceil(held.y / held.height);
  context.imageSmoothingQuality = "high";
  for (let row = -down; row <= down + 1 && held.y + row * held.height < model.height; row++) {
    for (let column = -across; column <= across + 1 && held.x + column * held.width < model.width; column++) {
      const flipX = column % 2 ? -1 : 1;
      const flipY = row % 2 ? -1 : 1;
      const left = held.x + (column + (flipX < 0)) * held.width;
      const top = held.y + (row + (flipY < 0)) * held.height;
      context.setTransform(flipX, 0, 0, flipY, left, top);
      context.drawImage(image, taken.x, taken.y, taken.width, taken.height, 0, 0, held.width, held.height);
    }
  }
  context.resetTransform();
}
