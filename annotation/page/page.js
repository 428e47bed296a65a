// What Label Studio's editor has no setting for: keys, a word count, and text that outlives a reload. Without this
// file the pages work on, with more clicks. page_server.py puts it into the pages, on a team's server nginx.conf.
(() => {
  "use strict";
  const FIELD = 'textarea[name^="caption"], textarea[name^="fixed_caption"]';
  const SUBMIT = 'button[name="submit"], button[name="update"]';
  const [LEAST, MOST] = [10, 40]; // words
  let loop = false;
  let met = ""; // the task and field that were seen last

  const field = () => [...document.querySelectorAll(FIELD)].find((element) => element.offsetParent);
  const words = (text) => text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

  const place = (text) => `valor-data ${window.Htx?.task?.id} ${text.name.split(":")[0]}`;

  function show() {
    for (const player of document.querySelectorAll("video, audio")) player.loop = loop;
    const text = field();
    for (const line of document.querySelectorAll(".vd-words")) {
      const count = text ? words(text.value) : 0;
      const length = count < LEAST ? "too short" : count > MOST ? "too long" : "good length";
      line.dataset.text = `${count} words, ${length} (${LEAST} to ${MOST}) · loop ${loop ? "on" : "off"}`;
      line.dataset.good = String(count >= LEAST && count <= MOST);
    }
    if (text && place(text) !== met) meet(text);
    met = text ? place(text) : "";
  }

  function meet(text) {
    const kept = sessionStorage.getItem(place(text));
    if (kept && kept !== text.value) { // a draft or a caption to fix may stand there
      // The editor hears of a value only through the element's own setter and an event.
      Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(text, kept);
      text.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (text.name.startsWith("caption")) text.focus(); // a review begins with its verdict's keys
  }

  function onInput(event) {
    if (event.target.matches?.(FIELD)) sessionStorage.setItem(place(event.target), event.target.value);
    soon();
  }

  function onKey(event) {
    const typing = event.target.matches?.("input[type=text], textarea");
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    let done = true;
    if (event.key === "F4" && plain) {
      loop = !loop;
      show();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && document.querySelector(SUBMIT)) {
      document.activeElement?.blur(); // the editor takes the text over
      document.querySelector(SUBMIT).click();
    } else if (event.key === "Escape" && event.target.matches?.(FIELD)) {
      event.target.blur();
    } else if (event.key === "c" && plain && !typing && field()) {
      field().focus();
      field().setSelectionRange(field().value.length, field().value.length);
    } else {
      done = false;
    }
    if (done) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }

  // The player of a sound alone stops itself at the end, loop or not.
  function onPause(event) {
    if (loop && event.target.matches?.("audio") && event.target.duration - event.target.currentTime < 0.3) {
      setTimeout(() => document.querySelector('[data-testid="playback-button:play"]')?.click(), 100);
    }
  }

  // Asked by its tab's filters, the server hands out the first open task though somebody has it before him; asked by
  // the tab's number it keeps to the same filters and to what is taken.
  const send = window.fetch;
  window.fetch = (where, options) => {
    const asked = new URL(where.url ?? where, location.href).searchParams;
    const tab = Number(asked.get("tabID"));
    if (asked.get("id") === "next_task" && tab > 0) options = { ...options, body: JSON.stringify({ view: tab }) };
    return send(where, options);
  };

  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      show();
    });
  };
  window.addEventListener("keydown", onKey, true);
  window.addEventListener("pause", onPause, true);
  window.addEventListener("input", onInput, true);
  new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });
})();
