// Little, and nothing that a page needs: without it times are in UTC and every link works.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const two = (n) => String(n).padStart(2, "0");

// The viewer's zone; UTC stays in `datetime` and on hover. Milliseconds are cut from the text, never computed.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (isNaN(at)) continue;
  const [clock, date] = [time.querySelector(".clock"), time.querySelector(".date")];
  if (!clock) continue;
  clock.textContent = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}${time.dateTime.slice(19, 23)}`;
  if (date) date.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
for (const place of document.querySelectorAll(".zone")) place.textContent = zone;

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// Keys: `/` asks, `j` and `k` move, the browser's own Enter opens, `?` explains. Not while somebody types.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const query = document.getElementById("query"), help = document.getElementById("help");
  if (event.key === "/" && query) {
    event.preventDefault();
    query.focus();
    query.select();
  } else if (event.key === "?" && help) {
    help.open = !help.open;
    help.querySelector("summary").focus();
  } else if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll("a.go")];
    const at = rows.indexOf(document.activeElement);
    const next = rows[event.key === "j" ? at + 1 : Math.max(at - 1, 0)];
    if (next) next.focus();
  }
});
