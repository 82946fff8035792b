// Every part sets itself up, then the fragment is read; a part that fails leaves the others working.
const parts = { Sections, Price, Limits, Decision, Scenarios, Traffic, Table, Tradeoff, Techniques, Headlines, Downloads, Room };
for (const [name, part] of Object.entries(parts)) {
  try {
    part.start();
  } catch (error) {
    console.error(`${name}:`, error);
  }
}
const anchor = State.load();
State.followLinks();
document.documentElement.classList.add("live");
if (anchor) document.getElementById(anchor)?.scrollIntoView();
