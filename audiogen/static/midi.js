// Web MIDI: keys, pitch bend, pedal and knobs of whatever is plugged in.

const BEND = 2  // semitones, at either end of the wheel
const PEDAL = 64  // controllers with a fixed meaning: the sustain pedal,
const SILENCE = [120, 123]  // all sound off, all notes off,
const NO_KNOBS = [0, 6, 32, 38, 98, 99, 100, 101]  // and halves of other messages

// What the bytes of a MIDI message say, of any channel; null if it's none of what is played here.
export function readMidi([status, first, second]) {
  const kind = status & 0xf0
  if (kind === 0x90 && second) return { kind: "press", pitch: first, velocity: second }
  if (kind === 0x80 || kind === 0x90) return { kind: "release", pitch: first }
  if (kind === 0xe0) {
    const wheel = (second << 7 | first) - 8192  // −8192 … 8191
    return { kind: "bend", semitones: BEND * wheel / (wheel < 0 ? 8192 : 8191) }
  }
  if (kind !== 0xb0 || NO_KNOBS.includes(first)) return null
  if (first === PEDAL) return { kind: "pedal", down: second >= 64 }
  if (SILENCE.includes(first)) return { kind: "silence" }
  return first < 120 ? { kind: "knob", knob: first, share: second / 127 } : null
}

// The level of a key that was struck so hard: a square law, as synthesizers have it.
export const levelOf = velocity => (velocity / 127) ** 2

// Why there is no Web MIDI here, in one line; null if there is.
export function noMidi({ navigator, isSecureContext } = window) {
  if (navigator.requestMIDIAccess) return null
  return isSecureContext
    ? "This browser has no Web MIDI; Chrome, Edge and Firefox have it."
    : "Web MIDI needs a secure page: one from https, from this computer, or a file."
}

// The MIDI inputs of this computer. `hear(message, stamp)` gets what is played, `changed()` is
// called when a device comes or goes.
export class MidiInputs {
  constructor(hear, changed) {
    Object.assign(this, { hear, changed, access: null, chosen: "" })
  }

  async connect() {
    const why = noMidi()
    if (why) throw Error(why)
    try {
      this.access = await navigator.requestMIDIAccess()
    } catch (error) {
      const fix = "allow MIDI for this page in the browser's settings, then press it again"
      throw Error(`The browser refuses MIDI (${error.name}): ${fix}.`)
    }
    this.access.onstatechange = ({ port }) => {  // of a device that went, no key will come up
      if (port?.state === "disconnected") this.hear({ kind: "silence" })
      this.listen()
    }
    this.listen()
  }

  get inputs() {
    const all = [...this.access?.inputs.values() ?? []]
    return all.filter(({ state }) => state !== "disconnected")
  }

  choose(id) {  // of an input; "" for all
    this.chosen = id
    this.listen()
  }

  listen() {
    if (!this.inputs.some(({ id }) => id === this.chosen)) this.chosen = ""
    for (const input of this.inputs) {
      const heard = !this.chosen || input.id === this.chosen
      input.onmidimessage = heard ? ({ data, timeStamp }) => this.receive(data, timeStamp) : null
    }
    this.changed()
  }

  receive(data, stamp) {
    const message = readMidi(data)
    if (message) this.hear(message, stamp)
  }

  close() {
    if (!this.access) return
    this.access.onstatechange = null
    for (const input of this.inputs) input.onmidimessage = null
  }
}

// Which knob turns which slider. A knob that nobody has chosen turns the first of `usual` that has
// no knob yet. Choices are kept while the browser's tab is open.
export class Knobs {
  constructor(name, usual, store = sessionOrNothing()) {
    this.place = `audiogen-knobs-${name}`
    this.usual = usual
    this.store = store
    this.sliders = new Map(JSON.parse(store?.getItem(this.place) ?? "[]"))
    this.learning = null  // {knob, slider}: which of the two is known already
  }

  sliderOf(knob) {
    if (!this.sliders.has(knob)) {
      const free = this.usual.find(slider => ![...this.sliders.values()].includes(slider))
      if (free) this.bind(knob, free)
    }
    return this.sliders.get(knob)
  }

  bind(knob, slider) {
    for (const [other, bound] of this.sliders) if (bound === slider) this.sliders.delete(other)
    this.sliders.set(knob, slider)
    this.store?.setItem(this.place, JSON.stringify([...this.sliders]))
  }

  // While learning: what moved, a knob or a slider → both, once both have moved.
  learn(moved) {
    Object.assign(this.learning, moved)
    const { knob, slider } = this.learning
    if (knob === undefined || slider === undefined) return null
    this.bind(knob, slider)
    this.learning = null
    return { knob, slider }
  }
}

function sessionOrNothing() {
  try {
    return window.sessionStorage
  } catch {  // a page that may not keep anything
    return null
  }
}
