// What the explorer is told of a model, and the sounds that answer its settings: as
// audiogen.explorer does it in Python, from the conditions that the model's file lists.
import { sliderLatent } from "./latents.js"

const REACH = 3                                           // of the pad and the directions
const DIRECTIONS = 8                                      // how many have a slider

// ---------------------------------------------------------------------------------- what it is told

// As explorer_spec.
export function specOf({ config, conditions }, name) {
  const offsets = Array(Math.min(DIRECTIONS, config.latent_dim)).fill(0)
  const sliders = { seed_a: 0, seed_b: 1, interpolation: 0, variation_scale: 0, variation_seed: 0 }
  const spec = {
    name, sample_rate: config.sample_rate, reach: REACH, classes: [], words: [], pitched: [],
    pitches: [0, 0], numbers: [], settings: { ...sliders, offsets },
  }
  for (const condition of conditions) CONTROLS[condition.kind](spec, condition)
  return spec
}

const CONTROLS = {
  class(spec, { acts_on, choices, default: usual }) {
    spec.classes = choices
    if (acts_on.includes("sounds")) spec.settings.label = usual ?? choices[0]
    else if (choices.length > 1) Object.assign(spec.settings, { label: null, label_b: null })
  },
  pitch(spec, { low, high, example, only_for }) {
    const usual = Math.trunc(example)
    spec.pitches = [Math.max(Math.trunc(low), usual - 24), Math.min(Math.trunc(high), usual + 24)]
    spec.pitched = spec.classes.map(name => only_for === null || only_for.includes(name))
    spec.settings.pitch = usual
  },
  words(spec, { choices }) {
    spec.words = choices
    spec.settings.words = ""
  },
  number(spec, { name, low, high, unit, example }) {
    spec.numbers.push({ name, low, high, unit })
    spec.settings[name] = example
  },
  length() {},                                            // the page plays sounds of one length
}

// ---------------------------------------------------------------------------------- what it answers

// Settings apart, as split_settings: what sliders say, what chooses a latent vector, how it sounds.
function partsOf(conditions, settings) {
  const parts = { sliders: {}, latents: {}, sounds: {} }
  for (const [name, value] of Object.entries(settings)) {
    if (value === null || value === "") continue
    const condition = conditions.find(c => c.name === name)
    if (!condition) parts.sliders[name] = value
    else {
      const { acts_on, kind } = condition
      if (acts_on.includes("latents") && kind !== "pitch") parts.latents[name] = value
      if (acts_on.includes("sounds")) parts.sounds[name] = value
    }
  }
  return parts
}

// A function from settings to {x, python, base}. `source` is the model, as Python.
export function answers(decoder, source) {
  const vectors = new Map()                               // by what chooses them: words take a while
  function latentOf({ offsets, ...sliders }, conditions) {
    const key = JSON.stringify([sliders, conditions])
    if (vectors.size > 1000) vectors.clear()
    if (!vectors.has(key)) vectors.set(key, sliderLatent(decoder, sliders, conditions))
    return vectors.get(key)
  }
  return settings => {
    const { sliders, latents, sounds } = partsOf(decoder.conditions, settings)
    const base = latentOf(sliders, latents)
    const z = base.map((v, i) => v + (sliders.offsets[i] ?? 0))
    const python = pythonLine(source, { ...sliders, ...latents }, sounds)
    return { x: decoder.sound(z, sounds), python, base: [...base] }
  }
}

// ---------------------------------------------------------------------------------- as Python

const USUAL = { seed_a: 0, seed_b: 1, interpolation: 0, variation_scale: 0, variation_seed: 0 }

// One line of Python that makes and plays the sound, as explorer_line has it.
export function pythonLine(source, latents, sounds) {
  const last = latents.offsets.findLastIndex(v => v)
  const trimmed = { ...latents, offsets: latents.offsets.slice(0, last + 1) }
  const changed = Object.entries(trimmed).filter(
    ([name, value]) => name === "offsets" ? value.length : value !== USUAL[name])
  const z = `slider_latent(model${keywords(changed)})`
  const loader = source.slice(0, source.indexOf("("))
  const names = [loader, "play", "slider_latent", "synthesize"].sort().join(", ")
  const play = "play(x, sample_rate=model.sample_rate)"
  const sound = `x = synthesize(model, ${z}${keywords(Object.entries(sounds))}); ${play}`
  return `from audiogen import ${names}; model = ${source}; ${sound}`
}

const keywords = entries => entries.map(([name, value]) => `, ${name}=${literal(value)}`).join("")

function literal(value) {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`
  if (typeof value === "number") return String(value)
  return /^[^'\\\p{C}]*$/u.test(value) ? `'${value}'` : JSON.stringify(value)
}
