// Shows HTML that somebody wrote, inert: this page's own policy runs no script but this one and loads nothing
// from elsewhere, its sandbox has no origin, and links and forms lead nowhere.
"use strict";
addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data !== "object" || typeof event.data.html !== "string") return;
  const parsed = new DOMParser().parseFromString(event.data.html, "text/html");
  for (const element of parsed.querySelectorAll("base, meta, script, iframe, object, embed")) element.remove();
  document.body.innerHTML = parsed.head.innerHTML + parsed.body.innerHTML;
});
addEventListener("click", (event) => event.preventDefault(), true);
addEventListener("submit", (event) => event.preventDefault(), true);
