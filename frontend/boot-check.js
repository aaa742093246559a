// Runs before anything else: puts on the chosen theme before the first paint, and says in plain words when
// the WebAssembly cannot start, which the page itself could then no longer do.
(function () {
  "use strict";
  try {
    var theme = localStorage.getItem("waybill.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (_) {
    // Storage may be forbidden; the system's theme is fine then.
  }

  var why = null;
  function show() {
    var trouble = document.getElementById("shell-trouble");
    // Once the console has drawn itself the shell is gone, and errors are its own to report.
    if (!trouble) return;
    if (why) document.getElementById("shell-why").textContent = why;
    document.getElementById("shell-loading").hidden = true;
    trouble.hidden = false;
  }
  function failed(event) {
    var error = event.error || event.reason;
    if (error && error.message) why = "It stopped with: " + error.message;
    show();
  }
  addEventListener("error", failed);
  addEventListener("unhandledrejection", failed);
  addEventListener("DOMContentLoaded", function () {
    if (typeof WebAssembly === "undefined") show();
  });
  setTimeout(function () {
    why = why || "It has not started within 20 seconds. The connection may be very slow.";
    show();
  }, 20000);
})();
