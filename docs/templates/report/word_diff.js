"use strict";
/* The difference of two texts, word by word: pieces [kind, text], where kind is "same", "removed" (of a) or "added" (of b).
   Null where the changed parts are too long to be compared. */
function wordDiff(a, b) {
  const MOST_PAIRS = 6000000;
  const words = (text) => text.match(/\s+|[^\s]+/g) || [];
  const [left, right] = [words(a), words(b)];
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let tail = 0;
  while (tail < left.length - start && tail < right.length - start && left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail += 1;
  const [x, y] = [left.slice(start, left.length - tail), right.slice(start, right.length - tail)];
  if (x.length * y.length > MOST_PAIRS) return null;

  /* longest[i * width + j]: the most words that x from i and y from j have in common, in order. */
  const width = y.length + 1;
  const longest = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i -= 1) {
    for (let j = y.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = x[i] === y[j] ? longest[(i + 1) * width + j + 1] + 1 : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }

  const pieces = [];
  const add = (kind, text) => {
    const last = pieces[pieces.length - 1];
    if (last && last[0] === kind) last[1] += text;
    else if (text) pieces.push([kind, text]);
  };
  add("same", left.slice(0, start).join(""));
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      add("same", x[i]);
      i += 1;
      j += 1;
    } else if (j === y.length || (i < x.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      add("removed", x[i]);
      i += 1;
    } else {
      add("added", y[j]);
      j += 1;
    }
  }
  add("same", left.slice(left.length - tail).join(""));
  return pieces;
}
