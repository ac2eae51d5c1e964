// Controls for settings: each a row with its name. They belong to a `panel` (see explorer.js) with
// spec and settings, change(values) to change these, renewals, a list of functions that bring the
// controls in line with the settings, mark(control, name) for what has no sound yet, and sliders,
// {name: function of a share from 0 to 1}, for knobs.
import { wav } from "./signal.js"

const LARGEST_SEED = 2 ** 31 - 1
const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"]

export function h(tag, attributes = {}, ...children) {  // an element; "on…" are listeners
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, "")
    else if (value !== false && value != null) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

export const button = (text, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, text)

export const noteName = pitch =>
  NOTES[Math.round(pitch) % 12] + (Math.floor(Math.round(pitch) / 12) - 1)

export const signed = (v, digits = 2) => (v < 0 ? "−" : "") + Math.abs(v).toFixed(digits)

const row = (label, ...controls) => h("div", { class: "row" }, h("span", {}, label), ...controls)

const randomSeed = () => Math.floor(Math.random() * 10000)

// A slider that is no setting: `get` and `set` its value.
export function plainSlider(panel, label, { min, max, step, text, get, set, usable = () => true }) {
  const shows = h("output")
  const moved = () => {
    panel.moved(label)
    set(+input.value)
  }
  const input = h("input", { type: "range", "aria-label": label, min, max, step, oninput: moved })
  panel.sliders.set(label, share => {
    if (!usable()) return
    input.value = min + share * (max - min)  // the nearest step
    set(+input.value)
  })
  panel.renewals.push(() => {
    const value = get() ?? min
    if (+input.value !== value) input.value = value
    input.disabled = !usable()
    shows.textContent = usable() ? text(value) : "–"
    input.setAttribute("aria-valuetext", shows.textContent)
  })
  return [h("label", { class: "row" }, h("span", {}, label), input, shows), input]
}

// A slider for a setting, or for one of a list of numbers.
export function slider(panel, label, name, { text = signed, index = null, ...options }) {
  const part = value => index === null ? value : value?.[index]
  const put = (old, value) => index === null ? value : old.map((v, i) => i === index ? value : v)
  const [element, input] = plainSlider(panel, label, {
    ...options,
    text: value => text(value),
    get: () => part(panel.settings[name]),
    set: value => panel.change({ [name]: put(panel.settings[name], value) }),
  })
  panel.renewals.push(() => panel.mark(input, name, part))
  return element
}

export function seedField(panel, label, name) {
  const typed = () => {
    if (!input.value) return
    panel.change({ [name]: Math.max(0, Math.min(LARGEST_SEED, Math.round(+input.value))) })
  }
  const input = h("input", {
    type: "number", "aria-label": `Seed of ${label}`, min: 0, max: LARGEST_SEED, step: 1,
    oninput: typed, onblur: () => { input.value = panel.settings[name] },
  })
  const fresh = () => panel.change({ [name]: randomSeed() })
  panel.renewals.push(() => {
    if (document.activeElement !== input) input.value = panel.settings[name]
    panel.mark(input, name)
  })
  const another = button("new", fresh, { "aria-label": `New seed for ${label}` })
  return row(label, h("span", { class: "seed" }, input, another))
}

export function choice(panel, label, name, options) {
  const chosen = () => panel.change({ [name]: select.value || null })
  const entries = options.map(([value, text]) => h("option", { value }, text))
  const select = h("select", { "aria-label": label, onchange: chosen }, ...entries)
  panel.renewals.push(() => {
    select.value = panel.settings[name] ?? ""
    panel.mark(select, name)
  })
  return h("label", { class: "row" }, h("span", {}, label), select)
}

export function wordsField(panel, label) {
  const { words } = panel.spec
  const input = h("input", {
    type: "text", "aria-label": `${label}: some of ${words.join(", ")}`,
    placeholder: words.slice(0, 4).join(", ") + " …",
    onchange: () => panel.change({ words: input.value.trim() }),
  })
  panel.renewals.push(() => {
    if (input.value.trim() !== panel.settings.words) input.value = panel.settings.words
    panel.mark(input, "words")
  })
  return row(label, input)
}

export function textField(panel, { name, words, example }) {
  const label = name[0].toUpperCase() + name.slice(1)
  const input = h("input", {
    type: "text", "aria-label": `${label}, of these words: ${words.join(", ")}`,
    placeholder: example ?? words.slice(0, 3).join(" "),
    onchange: () => panel.change({ [name]: input.value.trim() }),
  })
  panel.renewals.push(() => {
    if (input.value.trim() !== panel.settings[name]) input.value = panel.settings[name]
    panel.mark(input, name)
  })
  return row(label, input)
}

// The rows of all settings of a spec but the class, in order.
export function settingRows(panel) {
  const { spec, settings } = panel, { pitches, numbers = [], words, texts = [], classes } = spec, rows = []
  const names = classes.map(name => [name, name])
  const pitchText = v => `${noteName(v)} ${v}`
  const add = (name, make) => { if (name in settings) rows.push(make()) }
  for (const text of texts) rows.push(textField(panel, text))
  add("pitch", () => slider(panel, "Pitch", "pitch", {
    min: pitches[0], max: pitches[1], step: 1, text: pitchText, usable: () => panel.pitched,
  }))
  for (const { name, low, high, unit } of numbers) {
    const step = unit === "dBFS" ? 1 : (high - low) / 200, digits = step < 1 ? 2 : 0
    const text = v => `${signed(v, digits)} ${unit}`
    const label = name[0].toUpperCase() + name.slice(1)
    rows.push(slider(panel, label, name, { min: low, max: high, step, text }))
  }
  if (words?.length) add("words", () => wordsField(panel, "Words"))
  add("seed_a", () => seedField(panel, "Sound A", "seed_a"))
  add("seed_b", () => seedField(panel, "Sound B", "seed_b"))
  add("label_b", () => choice(panel, "Class of B", "label_b", [["", "as A"], ...names]))
  add("interpolation", () =>
    slider(panel, "A → B", "interpolation", { min: 0, max: 1, step: 0.01 }))
  add("variation_scale", () =>
    slider(panel, "Variation", "variation_scale", { min: 0, max: 2, step: 0.01 }))
  add("variation_seed", () => seedField(panel, "Which one", "variation_seed"))
  const range = { min: -spec.reach, max: spec.reach, step: 0.01 }
  settings.offsets?.forEach((_, index) => {
    rows.push(slider(panel, `Direction ${index + 1}`, "offsets", { ...range, index }))
  })
  return rows
}

export const newSeed = panel => panel.change({ seed_a: randomSeed() }, { play: true })

// Give a sound to the user, as a file → its name.
export function download(x, sampleRate, ...parts) {
  const stem = parts.filter(v => v != null).join("-").replace(/[^\w-]+/g, "_")
  const url = URL.createObjectURL(new Blob([wav(x, sampleRate)], { type: "audio/wav" }))
  h("a", { href: url, download: `${stem}.wav` }).click()
  setTimeout(() => URL.revokeObjectURL(url), 10000)
  return `${stem}.wav`
}
