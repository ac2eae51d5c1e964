// The piano keyboard: two octaves on the screen, one of them under the letters A to K.
import { button, h, noteName } from "./controls.js"

const PIANO = "AWSEDFTGYHUJK"  // letter keys of one octave, by place
const BLACK = [1, 3, 6, 8, 10]
const SHOWN = 24  // semitones above the lowest key

export class Keyboard {
  // `panel` has also press(pitch, {stamp, rings}), letGo(pitch) and held, a set of pitches.
  constructor(panel) {
    const { pitch } = panel.settings, [low, high] = panel.spec.pitches
    Object.assign(this, { panel, low, high, letters: new Map() })  // letter -> pitch, while down
    this.lowest = Math.max(low, 12 * Math.floor((pitch ?? 60) / 12))
    this.keys = Array.from({ length: SHOWN + 1 }, (_, i) => this.makeKey(i))
    const label = "Keyboard. Arrow keys step; A to K play an octave"
    const keys = {
      class: "keys", role: "group", "aria-label": label, onkeydown: event => this.step(event),
    }
    this.element = h("div", { class: "piano" },
      button("◀", () => this.shift(-12), { "aria-label": "An octave down" }),
      h("div", keys, ...this.keys),
      button("▶", () => this.shift(12), { "aria-label": "An octave up" }))
    panel.renewals.push(() => this.renew())
  }

  makeKey(i) {
    const black = BLACK.includes(i % 12) ? " black" : "", second = i > 12 ? " second" : ""
    let pressed = null  // the pitch that the pointer holds
    const down = ({ timeStamp }) => {
      pressed = this.lowest + i
      this.panel.press(pressed, { stamp: timeStamp })
    }
    const up = () => {
      if (pressed !== null) this.panel.letGo(pressed)
      pressed = null
    }
    return h("button", {
      type: "button", tabindex: -1, class: `key${black}${second}`,
      onpointerdown: event => {
        event.target.releasePointerCapture?.(event.pointerId)
        down(event)
      },
      onpointerenter: event => { if (event.buttons & 1) down(event) },
      onpointerleave: up, onpointerup: up, onpointercancel: up,
      onclick: ({ detail, timeStamp }) => {  // Enter, Space, or a screen reader
        if (!detail) this.panel.press(this.lowest + i, { stamp: timeStamp, rings: true })
      },
    })
  }

  shift(by) {
    const least = 12 * Math.ceil(this.low / 12)
    this.lowest = Math.max(least, Math.min(this.high - 12, this.lowest + by))
    this.panel.renew()
  }

  step(event) {  // to the next key, by an arrow key
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    const key = this.keys[this.keys.indexOf(event.target) + by]
    if (!key || key.disabled) return
    event.preventDefault()
    key.focus()
    key.click()
  }

  // A letter of the computer's keyboard goes down or up → is it one of the piano's?
  letterDown({ code, repeat, timeStamp }) {
    const i = code.startsWith("Key") ? PIANO.indexOf(code[3]) : -1
    if (i < 0) return false
    if (!repeat) {
      this.letters.set(code, this.lowest + i)
      this.panel.press(this.lowest + i, { stamp: timeStamp })
    }
    return true
  }

  letterUp(code) {
    if (!this.letters.has(code)) return
    this.panel.letGo(this.letters.get(code))
    this.letters.delete(code)
  }

  lettersUp() { [...this.letters.keys()].forEach(code => this.letterUp(code)) }

  renew() {
    const { pitched, settings: { pitch: chosen }, held } = this.panel
    const seen = this.keys[chosen - this.lowest]?.offsetParent
    this.keys.forEach((key, i) => {
      const pitch = this.lowest + i, down = pitched && (pitch === chosen || held.has(pitch))
      key.disabled = !pitched || pitch > this.high
      key.setAttribute("aria-label", noteName(pitch))
      key.setAttribute("aria-pressed", down)
      key.tabIndex = (seen ? pitched && pitch === chosen : i === 0) ? 0 : -1
    })
  }
}
