// What every part of the page is written with: `html` makes elements, and whatever is put into them is text, never markup.
import htm from "./vendor/htm.js";
import { createElement, Fragment, isValidElement, render } from "./vendor/preact.js";

export const html = htm.bind(createElement);
export { Fragment, isValidElement, render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
