// Which rows of a long list are in sight: only those are elements.
import { useLayoutEffect, useState } from "./html.js";

const SPARE = 12; // rows beyond either edge, so that a quick scroll shows no white

/**
 * @param {{ current: HTMLElement | null }} scroller
 * @param {number} total rows
 * @param {number} height of each, pixels
 * @returns {[number, number]} first row to draw, and the one after the last
 */
export function useWindow(scroller, total, height) {
  const [[top, room], set] = useState([0, 800]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let frame = 0;
    const look = () => {
      frame = 0;
      const next = [Math.floor(element.scrollTop / height) * height, element.clientHeight];
      set((before) => (before[0] === next[0] && before[1] === next[1] ? before : next));
    };
    const soon = () => (frame ||= requestAnimationFrame(look));
    const watcher = new ResizeObserver(soon);
    watcher.observe(element);
    element.addEventListener("scroll", soon, { passive: true });
    look();
    return () => {
      cancelAnimationFrame(frame);
      watcher.disconnect();
      element.removeEventListener("scroll", soon);
    };
  }, [height, scroller.current]);
  const first = Math.max(0, Math.min(Math.floor(top / height), total) - SPARE);
  return [first, Math.min(total, Math.ceil((top + room) / height) + SPARE)];
}

/**
 * Scroll as little as brings a row into sight.
 * @param {HTMLElement | null} scroller
 * @param {number} index
 * @param {number} height
 */
export function reveal(scroller, index, height) {
  if (!scroller || index < 0) return;
  const [top, bottom] = [index * height, (index + 1) * height];
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
}
