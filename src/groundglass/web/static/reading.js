// A reading by one key: what was said before stays on record.
const form = document.getElementById("say");
const said = document.getElementById("said");
const token = document.querySelector('meta[name="form-token"]').content;
const buttons = [...form.querySelectorAll("button[value]")];
let busy = false;

const say = async (answer) => {
  if (busy) return;
  busy = true;
  const body = { answer, label: form.label.value, remark: form.remark.value };
  const reply = await fetch(`/api/v1/studies/${form.dataset.job}/readings`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-form-token": token },
    body: JSON.stringify(body),
  }).catch(() => null);
  busy = false;
  if (reply?.ok) { location.reload(); return; }
  const why = await reply?.json().catch(() => null);
  said.textContent = `Not entered: ${why?.detail ?? "the node does not answer"}`;
};

for (const button of buttons) button.addEventListener("click", () => say(button.value));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input:not([type=checkbox],[type=range]), textarea, select")) return;
  const key = event.key.toUpperCase();
  const hit = buttons.find((button) => button.querySelector("kbd").textContent === key);
  if (hit) { event.preventDefault(); say(hit.value); }
});
