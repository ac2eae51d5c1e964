// The explorer: hear a model's sounds while you steer them. An ES module without dependencies, for
// the notebook's widget (audiogen.explorer.explore), and for pages of the docs and shared pages,
// which pass render() a stand-in for Python with get, on and send. The messages: requests.js.
//
// If the spec says what the model has learned (`known`: class after class, a list of latent
// vectors), the pad shows where these are. `folded`: only what one does first is in view.
import { download, signed } from "./controls.js"
import { keepKeys, NO_JUMP } from "./focus.js"
import { build } from "./layout.js"
import { drawSpectrogram, drawWaveform } from "./pictures.js"
import { latency, Player } from "./player.js"
import { Requests } from "./requests.js"
import { fft, hann, magma, spectrogram, wav } from "./signal.js"

const TYPED = "select, input:not([type=range], [type=checkbox])"  // these need letters themselves
const STILL = "(prefers-reduced-motion: reduce)"
const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null)

class Explorer {
  constructor(model, el) {
    this.spec = model.get("spec")
    this.settings = this.firstSettings()
    this.player = new Player()
    this.shown = { x: null, python: "", settings: {}, base: null }  // the last sound that came
    this.failed = null  // the settings last asked for, if their sound didn't come
    this.held = new Set()  // pitches of keys that are down
    this.kept = new Set()  // and of keys that went up while the pedal was down
    this.pedalDown = false
    this.release = 0.3  // s
    this.awake = false
    this.renewals = []
    this.sliders = new Map()
    build(this)
    el.append(this.root)
    this.listen()
    this.requests = new Requests(model, this)
    this.change({}, { play: false })
  }

  firstSettings() { return JSON.parse(JSON.stringify(this.spec.settings)) }

  has(name) { return name in this.spec.settings }

  // Has the chosen class a pitch?
  get pitched() {
    const { pitched, classes } = this.spec
    return this.has("pitch") && pitched[classes.indexOf(this.settings.label)] !== false
  }

  get asked() {  // what is asked for
    const pitch = this.pitched ? this.settings.pitch : null
    return { ...this.settings, ...(this.has("pitch") && { pitch }) }
  }

  // ---- settings change

  change(values = {}, { play = this.moves.checked && !this.held.size } = {}) {
    Object.assign(this.settings, values)
    this.renew()
    this.requests.want(this.asked, play)
  }

  renew() {
    this.renewals.forEach(f => f())
    const focused = document.activeElement  // a control that is switched off gives keys to nobody
    if (this.root.contains(focused) && focused.disabled) this.root.focus(NO_JUMP)
  }

  reset() {
    const { label } = this.settings
    this.settings = { ...this.firstSettings(), ...(this.has("label") && { label }) }
    this.change()
  }

  moved(slider) { this.live.learned({ slider }) }

  // Mark a control whose setting asked for a sound that didn't come.
  mark(control, name, of = v => v) {
    const { settings, failed, shown } = this
    const value = of(settings[name]), known = failed && name in shown.settings
    const wrong = known && same(value, of(failed[name])) && !same(value, of(shown.settings[name]))
    control.ariaInvalid = wrong ? "true" : null
  }

  // ---- keys

  // A key goes down: `level` is its sound's gain, `stamp` the time of the event; a sound that
  // `rings` isn't cut when the key goes up.
  press(pitch, { level = 1, stamp, rings = !this.pitched } = {}) {
    const [low, high] = this.spec.pitches ?? []
    if (this.pitched && (pitch < low || pitch > high)) return
    if (!rings) this.held.add(pitch)
    if (this.pitched) this.settings.pitch = pitch
    const press = { pitch, level, stamp, rings }, { asked } = this
    const sound = this.requests.ahead.get(asked)
    if (sound) this.pressAtOnce(sound, asked, press)
    else this.requests.press(asked, press)
    this.renew()
  }

  pressAtOnce(sound, asked, press) {  // its sound is there already
    this.take(sound, asked)
    this.sound({ press })
    this.drawSoon()
    if (sound.python) this.requests.next()
    else this.requests.want(asked, false)  // for the line of Python
  }

  letGo(pitch) {
    if (!this.held.delete(pitch)) return
    if (this.pedalDown) this.kept.add(pitch)
    else this.player.release(pitch, this.release)
    this.renew()
  }

  pedal(down) {
    this.pedalDown = down
    if (down) return
    for (const pitch of this.kept) {
      if (!this.held.has(pitch)) this.player.release(pitch, this.release)
    }
    this.kept.clear()
  }

  stop() {
    this.held.clear()
    this.kept.clear()
    this.player.stop()
    this.renew()
  }

  // ---- sounds come

  // A sound is there, for a key or for settings that changed.
  arrived(sound, settings, { press, play }) {
    this.take(sound, settings)
    if (!this.requests.wanted && this.status.matches(".wrong, .working")) this.say("")
    this.sound({ press, play })
    this.renew()
    this.draw()
  }

  take(sound, settings) {
    const { x, python = "", base = this.shown.base } = sound
    this.shown = { x, python, settings, base }
    this.failed = null
  }

  sound({ press, play }) {
    try {
      if (press) this.soundKey(press)
      else if (play) this.play()
    } catch (error) {
      this.say(`This browser can't play it: ${error.message}`, true)
    }
  }

  soundKey({ pitch, level, stamp, rings }) {
    const { player, shown: { x }, spec: { sample_rate } } = this
    const key = rings ? Symbol("nobody lets it go") : pitch
    const start = player.press(key, x, sample_rate, level)
    if (start === undefined) return
    const down = rings || this.held.has(pitch) || this.kept.has(pitch)
    if (!down) player.release(key, this.release)  // it went up before its sound was there
    if (stamp !== undefined) this.live.showLatency(latency(player.context, stamp, start))
    this.movePlayhead()
  }

  play() {
    const start = this.player.play(this.shown.x, this.spec.sample_rate)
    if (start !== undefined) this.movePlayhead()
  }

  failedFor(settings, message) {
    this.failed = settings
    this.say(message, true)
    this.renew()
  }

  working() { this.say("working…") }

  // ---- what is seen

  movePlayhead() {
    if (matchMedia(STILL).matches) return
    const frames = [{ left: "0%", opacity: 1 }, { left: "100%", opacity: 1 }]
    this.playhead.getAnimations().forEach(animation => animation.cancel())
    this.playhead.animate(frames, 1000 * this.shown.x.length / this.spec.sample_rate)
  }

  draw() {
    const { shown: { x, python, base }, spec, wave } = this
    if (!x || !wave.clientWidth) return
    const seconds = `${(x.length / spec.sample_rate).toFixed(2)} s`
    const peak = x.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    const facts = `${seconds}, peak ${peak ? signed(20 * Math.log10(peak), 1) : "−∞"} dBFS`
    drawWaveform(wave, x)
    drawSpectrogram(this.spectrum, x)
    this.pad?.draw(base)
    this.figures.textContent = facts
    this.end.textContent = seconds
    wave.setAttribute("aria-label", `Waveform: ${facts}`)
    this.code.value = python
  }

  drawSoon() {  // in the next frame: what is heard comes first
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined
      this.draw()
    })
  }

  say(text, wrong = false) {
    for (const line of [this.status, ...this.echoes]) {
      line.textContent = text
      line.classList.toggle("wrong", wrong)
      line.classList.toggle("working", text === "working…")
    }
  }

  // ---- saving and copying

  save() {
    const { shown: { x, settings }, spec: { name, sample_rate } } = this
    const { label, seed_a } = settings  // of the sound that is there, whatever the controls say
    this.say(`Saved ${download(x, sample_rate, name, label, seed_a)}`)
  }

  async copy() {
    this.code.select()
    try {
      await navigator.clipboard.writeText(this.code.value)
    } catch {  // pages that aren't served over https have no clipboard
      document.execCommand("copy")
    }
    this.say("Copied. Paste it into a Python cell.")
  }

  // ---- what the page listens to

  listen() {
    const { root } = this
    keepKeys(root)
    root.addEventListener("pointerenter", () => this.prepare())
    root.addEventListener("focusout", ({ relatedTarget }) => {  // nobody would see the key go up
      if (!root.contains(relatedTarget)) this.keyboard?.lettersUp()
    })
    this.leaveMenus()
    root.addEventListener("pointerdown", () => this.wake(), true)
    root.addEventListener("keydown", event => {
      this.wake()
      this.keyDown(event)
    }, true)
    root.addEventListener("keyup", ({ code }) => this.keyboard?.letterUp(code), true)
    this.watch()
  }

  prepare() {  // somebody comes near: from now on, sounds may be computed ahead
    if (this.awake) return
    this.awake = true
    this.requests.next()
  }

  wake() {
    this.prepare()
    this.player.wake()
  }

  // A menu is left after a choice by mouse, so that keys play again; not after one by arrow keys,
  // which may go on.
  leaveMenus() {
    const { root } = this
    let byKey = false
    root.addEventListener("pointerdown", () => { byKey = false }, true)
    root.addEventListener("keydown", ({ target }) => {
      if (target.matches("select")) byKey = true
    }, true)
    root.addEventListener("change", ({ target }) => {
      if (target.matches("select") && !byKey) root.focus(NO_JUMP)
    })
  }

  keyDown(event) {
    const { target, code, key } = event, typed = target.matches(TYPED)
    const entered = key === "Enter" && typed && !target.matches("select")
    if (code === "Escape" || entered) this.root.focus(NO_JUMP)
    if (event.ctrlKey || event.metaKey || event.altKey || typed) return
    if (code === "Escape") {
      this.stop()
      if (this.live.knobs.learning) this.live.learn(false)
    }
    if (code === "Space" && target.matches("section, .pad, [type=range]")) {
      event.preventDefault()
      this.sound({ play: true })
    } else if (this.keyboard?.letterDown(event)) event.preventDefault()
  }

  // Draw again when size or theme have changed; show messages twice where the first is out of view.
  watch() {
    const again = () => this.drawSoon(), dark = matchMedia("(prefers-color-scheme: dark)")
    const unseen = new IntersectionObserver(([{ isIntersecting }]) => {
      this.root.classList.toggle("below", !isIntersecting)
    })
    const sizes = new ResizeObserver(again), themes = new MutationObserver(again)
    unseen.observe(this.status)
    sizes.observe(this.wave)
    const attributeFilter = ["class", "data-jp-theme-light"]
    themes.observe(document.body, { attributes: true, attributeFilter })
    dark.addEventListener("change", again)
    this.unwatch = () => {
      for (const observer of [unseen, sizes, themes]) observer.disconnect()
      dark.removeEventListener("change", again)
    }
  }

  close() {
    this.requests.close()
    this.unwatch()
    this.live.close()
    this.player.close()
  }
}

function render({ model, el }) {
  const explorer = new Explorer(model, el)
  return () => explorer.close()
}

export { fft, hann, spectrogram, wav, magma, Player }

export default { render }
