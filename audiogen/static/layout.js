// The explorer's page: what stands where. On a page of the docs there is one thing to do at first,
// and the other controls are folded.
import { button, choice, h, newSeed, settingRows } from "./controls.js"
import { Keyboard } from "./keyboard.js"
import { Live } from "./live.js"
import { Pad } from "./pad.js"

// Make the page's elements; those that change later become properties of the panel.
export function build(panel) {
  const { spec } = panel
  panel.status = h("div", { class: "status", role: "status", "aria-live": "polite" })
  panel.echoes = [0, 1, 2].map(() => h("div", { class: "echo", "aria-hidden": "true" }))
  panel.moves = h("input", { type: "checkbox", checked: true })
  panel.pad = panel.settings.offsets?.length ? new Pad(panel) : null
  panel.live = new Live(panel)
  panel.keyboard = panel.has("pitch") ? new Keyboard(panel) : null
  panel.root = h("section", {
    class: "audiogen-explorer", tabindex: -1, "aria-label": `Explorer of ${spec.name}`,
  })
  const play = button("▶ Play", () => panel.sound({ play: true }), { class: "main" })
  const fresh = button("New sound", () => newSeed(panel))
  const parts = spec.folded ? foldedParts(panel) : openParts(panel)
  panel.root.append(
    h("header", {}, play, fresh, ...parts.first),
    ...(spec.invitation ? [h("p", { class: "invitation" }, spec.invitation)] : []),
    panel.status, stage(panel), panel.echoes[0],
    ...(panel.keyboard ? [panel.keyboard.element] : []),
    ...parts.last, footer(panel), panel.echoes[2])
  panel.renewals.push(() => panel.root.classList.toggle("stale", Boolean(panel.failed)))
}

// What stands in the first row, and beneath the keyboard: with everything in view …
function openParts(panel) {
  const rows = [...classMenu(panel), ...settingRows(panel)]
  return { first: tools(panel), last: [panel.live.element, more(panel, true, [], rows)] }
}

// … and with little in view.
function foldedParts(panel) {
  const above = [h("header", {}, ...tools(panel)), ...axes(panel), panel.live.element]
  return { first: classMenu(panel), last: [more(panel, false, above, settingRows(panel))] }
}

function more(panel, open, above, rows) {
  return h("details", { class: "more", open, ontoggle: () => panel.draw() },
    h("summary", {}, "All controls"), ...above,
    panel.echoes[1], h("div", { class: "rows" }, ...rows))
}

function classMenu(panel) {
  if (!panel.has("label")) return []
  const names = panel.spec.classes.map(name => [name, name])
  const needed = panel.has("pitch") && !panel.spec.texts?.length  // a caption may name the class
  return [choice(panel, "Class", "label", needed ? names : [["", "any"], ...names])]
}

function tools(panel) {
  const save = button("Save WAV", () => panel.save())
  panel.renewals.push(() => { save.disabled = !panel.shown.x })
  return [h("label", { class: "check" }, panel.moves, " play on move"),
    h("span", { class: "gap" }), button("Reset", () => panel.reset()), save]
}

function axes(panel) { return panel.pad ? [panel.pad.menus()] : [] }

function stage(panel) {  // the pad beside the pictures
  const { pad, spec: { name, sample_rate, folded } } = panel
  const spectrogramLabel = "Spectrogram: time across, frequency up, −80 to 0 dBFS"
  panel.figures = h("span", { class: "figures" })
  panel.end = h("span")
  panel.wave = h("canvas", { class: "wave", role: "img", "aria-label": "Waveform" })
  panel.spectrum = h("canvas", { class: "spectrum", role: "img", "aria-label": spectrogramLabel })
  panel.playhead = h("div", { class: "playhead" })
  const pictures = h("div", { class: "pictures" },
    h("div", { class: "title" }, h("b", {}, name), panel.figures),
    h("div", { class: "frame" }, panel.wave, panel.spectrum, panel.playhead,
      h("span", { class: "top" }, `${sample_rate / 2000} kHz`),
      h("span", { class: "bottom" }, "0 Hz")),
    h("div", { class: "time", "aria-hidden": "true" }, h("span", {}, "0 s"), panel.end))
  if (!pad) return h("div", { class: "stage" }, pictures)
  const padbox = [pad.element, ...pad.legend(), ...(folded ? [] : axes(panel))]
  return h("div", { class: "stage" }, h("div", { class: "padbox" }, ...padbox), pictures)
}

function footer(panel) {
  const label = "This sound as a line of Python"
  panel.code = h("input", {
    class: "code", readonly: true, "aria-label": label, onfocus: () => panel.code.select(),
  })
  const copy = button("Copy", () => panel.copy(), { "aria-label": "Copy as Python" })
  panel.renewals.push(() => { copy.disabled = !panel.shown.python })
  return h("footer", {}, panel.code, copy)
}
