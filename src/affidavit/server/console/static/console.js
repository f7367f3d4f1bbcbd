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
