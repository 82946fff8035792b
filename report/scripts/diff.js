// How one text became another, word by word.
const Diff = (() => {
  // Above this many pairs of words a text is no headline: its differing middle is shown as replaced whole.
  const MOST = 40000;
  const words = (text) => text.match(/\S+|\s+/g) ?? [];

  // Lengths of the longest common subsequence of before[i..] and after[j..].
  function lengths(before, after, equal) {
    const width = after.length + 1;
    const table = new Uint16Array((before.length + 1) * width);
    for (let i = before.length - 1; i >= 0; i--) {
      for (let j = after.length - 1; j >= 0; j--) {
        table[i * width + j] = equal(i, j)
          ? table[(i + 1) * width + j + 1] + 1
          : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
      }
    }
    return (i, j) => table[i * width + j];
  }

  // Parts in order: [kind, text] with kind "same", "out" (only before) or "in" (only after).
  function parts(before, after) {
    const from = words(before), to = words(after);
    let start = 0, end = 0;
    while (start < from.length && start < to.length && from[start] === to[start]) start++;
    while (end < from.length - start && end < to.length - start && from.at(-1 - end) === to.at(-1 - end)) end++;
    const found = [];
    const add = (kind, text) => {
      if (found.at(-1)?.[0] === kind) found.at(-1)[1] += text;
      else if (text) found.push([kind, text]);
    };
    add("same", to.slice(0, start).join(""));
    middle(from.slice(start, from.length - end), to.slice(start, to.length - end), add);
    add("same", to.slice(to.length - end).join(""));
    return found;
  }

  function middle(from, to, add) {
    // A space goes with the word before it, and does not count: no space alone is called the same, or another.
    const [old, now] = [joined(from), joined(to)];
    const equal = (i, j) => old[i].trimEnd() === now[j].trimEnd();
    if (old.length * now.length > MOST) { add("out", old.join("")); add("in", now.join("")); return; }
    const common = lengths(old, now, equal);
    let i = 0, j = 0;
    while (i < old.length || j < now.length) {
      if (i < old.length && j < now.length && equal(i, j)) { add("same", now[j]); i++; j++; }
      else if (i < old.length && (j === now.length || common(i + 1, j) >= common(i, j + 1))) add("out", old[i++]);
      else add("in", now[j++]);
    }
  }

  function joined(parts) {
    const found = [];
    for (const part of parts) {
      if (/^\s/.test(part) && found.length) found[found.length - 1] += part;
      else found.push(part);
    }
    return found;
  }

  // The same as nodes: text within <del> and <ins>.
  const TAGS = { out: "del", in: "ins" };
  function nodes(before, after) {
    const found = parts(before, after);
    return found.map(([kind, text], at) => {
      if (!TAGS[kind]) return text;
      const shown = text.trimEnd();
      const next = found[at + 1]?.[0];
      // The last words of both texts have no space after them: what went must not run into what came.
      const gap = text.slice(shown.length) || (TAGS[next] ? " " : "");
      return [Dom.el(TAGS[kind], {}, shown), gap];
    });
  }

  return { parts, nodes };
})();
