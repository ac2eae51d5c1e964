// Playing live: MIDI, how long sounds fade, how late they are, and recording what is played.
import { button, download, h, plainSlider } from "./controls.js"
import { Knobs, levelOf, MidiInputs } from "./midi.js"

const HINT = "Move a knob of the MIDI device, then the slider it shall turn."

export class Live {
  // `panel` has also player, pedal(down), stop(), say(text, wrong) and showLatency.
  constructor(panel) {
    const { spec, settings } = panel
    const directions = (settings.offsets ?? []).map((_, i) => `Direction ${i + 1}`)
    this.panel = panel
    this.knobs = new Knobs(spec.name, directions)
    this.midi = new MidiInputs((...heard) => this.hear(...heard), () => this.renewDevices())
    this.takes = 0
    this.midiButton = button("Connect MIDI", () => this.connect())
    const chosen = () => this.midi.choose(this.devices.value)
    const label = "MIDI device", off = { "aria-pressed": "false" }
    this.devices = h("select", { "aria-label": label, hidden: true, onchange: chosen })
    this.learnButton = button("Learn", () => this.learn(), { ...off, hidden: true })
    this.recordButton = button("● Record", () => this.record(), off)
    this.delay = h("span", { class: "delay" })
    this.element = h("div", { class: "live", role: "group", "aria-label": "Live" },
      this.recordButton, this.midiButton, this.devices, this.learnButton,
      this.releaseRow(), this.delay)
  }

  releaseRow() {
    const [element] = plainSlider(this.panel, "Release", {
      min: 0.02, max: 2, step: 0.01, text: v => `${v.toFixed(2)} s`,
      get: () => this.panel.release,
      set: value => {
        this.panel.release = value
        this.panel.renew()
      },
      usable: () => this.panel.pitched,
    })
    return element
  }

  // Tell how late the last key's sound was: {page, device}, in ms.
  showLatency({ page, device }) {
    const [all, here, there] = [page + device, page, device].map(Math.round)
    this.delay.textContent = `Latency: ${all} ms (page ${here}, output ${there})`
  }

  // ---- MIDI

  async connect() {
    try {
      await this.midi.connect()
    } catch (error) {
      this.panel.say(error.message, true)
    }
  }

  renewDevices() {
    const { inputs, chosen } = this.midi
    const entries = inputs.map(({ id, name }) => h("option", { value: id }, name ?? id))
    this.devices.replaceChildren(h("option", { value: "" }, "all devices"), ...entries)
    this.devices.value = chosen
    this.midiButton.hidden = true
    this.devices.hidden = this.learnButton.hidden = false
    const names = inputs.map(({ name }) => name).join(", ")
    this.panel.say(names ? `MIDI: ${names}` : "MIDI is on. Plug in a keyboard: it will be found.")
  }

  hear(message, stamp) {
    const { panel } = this
    if (message.kind === "knob") this.turn(message)
    if (message.kind === "press") {
      panel.press(message.pitch, { level: levelOf(message.velocity), stamp })
    }
    if (message.kind === "release") panel.letGo(message.pitch)
    if (message.kind === "bend") panel.player.bend(message.semitones)
    if (message.kind === "pedal") panel.pedal(message.down)
    if (message.kind === "silence") panel.stop()
  }

  // ---- knobs

  turn({ knob, share }) {
    if (this.knobs.learning) return this.learned({ knob })
    const slider = this.panel.sliders.get(this.knobs.sliderOf(knob))
    if (slider) slider(share)
    else this.panel.say(`Knob ${knob} turns nothing yet: press Learn.`)
  }

  learn(on = !this.knobs.learning) {
    this.knobs.learning = on ? {} : null
    this.learnButton.setAttribute("aria-pressed", on)
    this.panel.say(on ? HINT : "")
  }

  // While learning: a knob or a slider was moved.
  learned(moved) {
    if (!this.knobs.learning) return
    const bound = this.knobs.learn(moved)
    if (!bound) return
    this.learnButton.setAttribute("aria-pressed", "false")
    this.panel.say(`Knob ${bound.knob} turns ${bound.slider}.`)
  }

  // ---- recording

  record() {
    const { player } = this.panel
    if (player.take) return this.finish()
    player.record(() => this.finish())
    this.showRecording(true)
    this.panel.say("Recording, from the first sound on.")
  }

  showRecording(on) {
    this.recordButton.textContent = on ? "■ Stop and save" : "● Record"
    this.recordButton.setAttribute("aria-pressed", on)
  }

  async finish() {
    const { player, spec: { sample_rate, name } } = this.panel
    this.showRecording(false)
    const x = await player.finish(sample_rate)
    if (!x) return this.panel.say("Nothing was played, so there is nothing to save.")
    this.takes += 1
    const file = download(x, sample_rate, name, "take", this.takes)
    this.panel.say(`Saved ${file}, ${(x.length / sample_rate).toFixed(1)} s.`)
  }

  close() { this.midi.close() }
}
