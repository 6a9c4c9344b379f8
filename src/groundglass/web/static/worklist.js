// The list follows the node: a server-sent event says that it changed, the rows are fetched anew.
const rows = document.getElementById("rows");
const live = document.getElementById("live");
const filter = document.getElementById("filter");
let asked = 0;

const wanted = () => new URLSearchParams(new FormData(filter));

const refresh = async () => {
  const mine = ++asked;
  const answer = await fetch(`/rows?${wanted()}`).catch(() => null);
  if (answer?.status === 401) location.assign("/login");
  if (!answer?.ok || mine !== asked) return;
  const text = await answer.text();
  if (mine !== asked) return;
  const focused = document.activeElement?.closest?.("tr")?.dataset.id;
  rows.innerHTML = text; // rendered and escaped by the server, as the page itself was
  if (focused) rows.querySelector(`tr[data-id="${Number(focused)}"] a`)?.focus();
};

filter.addEventListener("input", () => {
  history.replaceState(null, "", `/?${wanted()}`);
  refresh();
});
filter.addEventListener("submit", (event) => { event.preventDefault(); refresh(); });

const source = new EventSource("/api/v1/events");
source.addEventListener("list", () => { live.textContent = "live"; refresh(); });
source.addEventListener("error", () => { live.textContent = "not connected; trying again"; });
