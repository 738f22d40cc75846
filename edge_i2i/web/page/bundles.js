// The menu of networks, where the server has several: each has a page of its own.

/** Fill `menu` and have it lead to what is chosen; the page's `title` is then read to those only who do not see the menu. */
export function offerBundles(menu, title, bundles) {
  if (bundles.length < 2) return;
  menu.replaceChildren(...bundles.map(({ name, path, here }) => new Option(name, path, here, here)));
  menu.hidden = false;
  title.classList.add("said");
  menu.addEventListener("change", () => location.assign(address(bundles, menu.value, location.pathname)));
}

/** Where a bundle's page is: `path` is given from the server's root, which may lie under a proxy's path. */
export function address(bundles, path, pathname) {
  const here = bundles.find((bundle) => bundle.here)?.path ?? "";
  const root = here && pathname.endsWith(`/${here}`) ? pathname.slice(0, -here.length) : pathname;
  return root + path;
}
